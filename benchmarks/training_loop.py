"""How fast is the training loop, against a bare loop, a DataLoader, and what people would take instead?

One model (19 numbers, 6 category embeddings, two layers of 256) learns from one table in one process with one thread.
Arms take one epoch in turn, and CPU time counts. The bare loop and the DataLoader run as they would by hand, in a
process each that does not keep freed memory as the training step does. Frameworks are measured in a fresh process
each, beside the loop and the bare loop, which do not keep it there either, and may live in an environment of their
own, which needs torch, pyarrow, safetensors and psutil besides:

    python benchmarks/training_loop.py [--rows 100000] [--rounds 7] [--results FILE]
        [--python lightning=/venv/bin/python --python skorch=... --python fastai=... --python pytorch_tabular=...]

On a machine with a GPU the step is also measured there: eager, as one graph, and by a DataLoader.
"""

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "src"))

NUMBERS = 19
CARDINALITIES = (17, 4, 105, 4038, 36, 8)
WIDTH = 256
BATCHES = (1024, 8192)
FRAMEWORKS = ("lightning", "skorch", "fastai", "pytorch_tabular")
BARS = {
    "ours / bare": {1024: 0.97, 8192: 0.97},
    "ours / naive": {1024: 1.8, 8192: 2.4},
    "ours bf16 / naive": {1024: 3.5, 8192: 6.0},
    "ours / lightning": {1024: 2.0},
    "ours / skorch": {1024: 2.0},
    "ours / pytorch_tabular": {1024: 2.0},
    "ours / fastai": {1024: 1.4},
}

Arm = Callable[[], int]
"""Takes one epoch and returns how many rows it saw."""


def main() -> None:
    """Measure, print a table, and write it to --results when asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000, help="rows of the table (default 100,000)")
    parser.add_argument("--rounds", type=int, default=7, help="epochs of each arm (default 7)")
    parser.add_argument("--python", action="append", default=[], metavar="NAME=PATH", help="a framework's interpreter")
    parser.add_argument("--results", type=Path, help="also write the figures to this JSON file")
    parser.add_argument("--arm", choices=("loops", "gpu", *FRAMEWORKS), help=argparse.SUPPRESS)
    parser.add_argument("--by-hand", nargs=2, metavar=("ARM", "BATCH"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.by_hand:
        _answer_by_hand(*arguments.by_hand, arguments.rows)
        return
    if arguments.arm:
        print(json.dumps(ARMS[arguments.arm](arguments)))
        return
    pythons = dict(each.split("=", 1) for each in arguments.python)
    found = {arm: _fresh(arm, pythons.get(arm, sys.executable), arguments) for arm in ARMS}
    figures = {
        "machine": _machine(),
        "rows": arguments.rows,
        "rounds": arguments.rounds,
        "epoch_cpu_s": {arm: value for arm, value in found.items() if arm != "gpu"},
        "ratios": _ratios(found),
        "startup_cpu_s": _startup(arguments.rounds),
        "gpu": found["gpu"],
    }
    _show(figures)
    if arguments.results:
        arguments.results.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def _fresh(arm: str, python: str, arguments: argparse.Namespace) -> Any:
    """Run an arm in a new process and return what it found, or why it was left out."""
    command = [python, __file__, "--arm", arm, "--rows", arguments.rows, "--rounds", arguments.rounds]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, env=environment
    )
    if ended.returncode:
        return f"failed: {ended.stderr.strip().splitlines()[-1]}"
    print(f"{arm}: {ended.stdout.splitlines()[-1]}", flush=True)
    return json.loads(ended.stdout.splitlines()[-1])


def _machine() -> str:
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    return f"{model}, {os.cpu_count()} cores, one thread used, Python {platform.python_version()}"


# The model and the table


def make_rows(count: int, device: str = "cpu") -> Any:
    """Return `count` rows whose target depends on numbers and categories."""
    import torch

    from ropewalk.training.rows import Rows

    generator = torch.Generator().manual_seed(0)
    numbers_BN = torch.randn(count, NUMBERS, generator=generator)
    codes = [torch.randint(0, size, (count,), generator=generator) for size in CARDINALITIES]
    codes_BC = torch.stack(codes, dim=1).int()
    target = ((numbers_BN[:, 0] + (codes_BC[:, 0] % 3 - 1) + torch.randn(count, generator=generator)) > 0).float()
    return Rows(
        (numbers_BN.to(device), torch.zeros_like(numbers_BN).to(device), codes_BC.to(device)), target.to(device)
    )


def make_network() -> Any:
    """Return the network that all loops train."""
    import torch
    from torch import Tensor, nn

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            sizes = [min(50, (size + 1) // 2) for size in CARDINALITIES]
            self.tables = nn.ModuleList(nn.Embedding(n, d) for n, d in zip(CARDINALITIES, sizes, strict=True))
            self.layers = nn.Sequential(
                nn.Linear(NUMBERS + sum(sizes), WIDTH),
                nn.ReLU(),
                nn.Linear(WIDTH, WIDTH),
                nn.ReLU(),
                nn.Linear(WIDTH, 1),
            )

        def forward(self, numbers_BN: Tensor, missing_BN: Tensor, codes_BC: Tensor) -> Tensor:
            embedded = [table(codes_BC[:, index]) for index, table in enumerate(self.tables)]
            return self.layers(torch.cat([numbers_BN, *embedded], dim=1))

    torch.manual_seed(0)
    return Network()


# Arms: each prepares outside what is measured


def ours_in_turn(
    rows: Any, batch_size: int, rounds: int, others: dict[str, Iterator[float]], precision: str = "float32"
) -> dict[str, list[float]]:
    """Return the CPU seconds of epochs of one run of Ropewalk's loop, with all it does, and of the others in between.

    256 rows are scored after each epoch. A first round does not count.
    """
    import torch

    from ropewalk.training.checkpoint import Checkpoints
    from ropewalk.training.config import TrainingConfig
    from ropewalk.training.distributed import Group
    from ropewalk.training.fit import fit
    from ropewalk.training.rows import Rows
    from ropewalk.training.store import open_store
    from ropewalk.training.tables import MemoryTable
    from ropewalk.training.task import Task

    seconds: dict[str, list[float]] = {"ours": [], **{name: [] for name in others}}
    resumed = [0.0]

    class Waiting(MemoryTable):
        def shards(self, epoch: int, first: int = 0) -> Iterator[Rows]:
            if epoch > 1:
                seconds["ours"].append(cpu_seconds() - resumed[0])
            for name, arm in others.items():
                seconds[name].append(next(arm))
            resumed[0] = cpu_seconds()
            return super().shards(epoch, first)

    group = Group(rank=0, world=1)
    task = Task(
        kind="binary",
        train=Waiting(rows),
        validation=MemoryTable(_few(rows, 256)),
        epochs=rounds + 2,
        seed=0,
        scale=1.0,
        precision=getattr(torch, precision),
    )
    config = TrainingConfig(batch_size=batch_size, patience=rounds + 2)
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(sys.stderr):
        checkpoints = Checkpoints(open_store(folder), fingerprint="", group=group)
        fit(make_network(), task, config=config, checkpoints=checkpoints, group=group, history=[])
    return {name: [round(each, 4) for each in found[1 : rounds + 1]] for name, found in seconds.items()}


def bare(rows: Any, batch_size: int, device: str = "cpu") -> Arm:
    """Return an epoch of a hand-written loop: gather by index, fused optimiser, nothing read back."""
    import torch

    network = make_network().to(device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0.02, fused=True)

    def epoch() -> int:
        for batch in torch.randperm(len(rows), device=device).split(batch_size):
            outputs = network(*(each.index_select(0, batch) for each in rows.inputs))
            loss = torch.nn.functional.binary_cross_entropy_with_logits(outputs.squeeze(1), rows.target[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return len(rows)

    return epoch


def naive(rows: Any, batch_size: int, device: str = "cpu") -> Arm:
    """Return an epoch of the usual loop: DataLoader over a TensorDataset, `.item()` in each step."""
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    network = make_network().to(device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0.02)
    loader = DataLoader(TensorDataset(*(each.cpu() for each in rows.tensors)), batch_size=batch_size, shuffle=True)

    def epoch() -> int:
        total = 0.0
        for numbers_BN, missing_BN, codes_BC, target in loader:
            inputs = numbers_BN.to(device), missing_BN.to(device), codes_BC.to(device)
            outputs = network(*inputs)
            loss = torch.nn.functional.binary_cross_entropy_with_logits(outputs.squeeze(1), target.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        assert total > 0
        return len(rows)

    return epoch


def lightning_arm(rows: Any, batch_size: int) -> Iterator[float]:
    """Yield the CPU seconds of an epoch: Trainer, DataLoader, the loss logged in each step to a CSV file, no bar."""
    import lightning
    import torch
    from lightning.pytorch.loggers import CSVLogger
    from torch.utils.data import DataLoader, TensorDataset

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network = make_network()

        def training_step(self, batch: Any, _: int) -> Any:
            *inputs, target = batch
            loss = torch.nn.functional.binary_cross_entropy_with_logits(self.network(*inputs).squeeze(1), target)
            self.log("loss", loss)
            return loss

        def configure_optimizers(self) -> Any:
            return torch.optim.AdamW(self.parameters(), lr=1e-3, weight_decay=0.02)

    loader = DataLoader(TensorDataset(*rows.tensors), batch_size=batch_size, shuffle=True)
    while True:
        clock = _lightning_clock(lightning.Callback)
        with tempfile.TemporaryDirectory() as folder:
            lightning.Trainer(
                max_epochs=2,
                accelerator="cpu",
                logger=CSVLogger(folder),
                enable_progress_bar=False,
                enable_model_summary=False,
                enable_checkpointing=False,
                callbacks=[clock],
            ).fit(Module(), loader)
        yield clock.seconds[1]


def _lightning_clock(base: type) -> Any:
    class Clock(base):  # type: ignore[misc]
        def __init__(self) -> None:
            self.seconds: list[float] = []

        def on_train_epoch_start(self, *_: Any) -> None:
            self.started = cpu_seconds()

        def on_train_epoch_end(self, *_: Any) -> None:
            self.seconds.append(cpu_seconds() - self.started)

    return Clock()


def skorch_arm(rows: Any, batch_size: int) -> Iterator[float]:
    """Yield the CPU seconds of an epoch of skorch's NeuralNet with its defaults, without a validation split."""
    import skorch
    import torch

    class Loss(torch.nn.BCEWithLogitsLoss):
        def forward(self, outputs: Any, target: Any) -> Any:
            return super().forward(outputs.squeeze(1), target)

    inputs = dict(zip(("numbers_BN", "missing_BN", "codes_BC"), rows.inputs, strict=True))
    net = skorch.NeuralNet(
        make_network(),
        criterion=Loss,
        optimizer=torch.optim.AdamW,
        lr=1e-3,
        optimizer__weight_decay=0.02,
        batch_size=batch_size,
        iterator_train__shuffle=True,
        max_epochs=1,
        train_split=None,
        verbose=0,
    )
    net.fit(inputs, rows.target)
    while True:
        started = cpu_seconds()
        net.partial_fit(inputs, rows.target)
        yield cpu_seconds() - started


def _frame(rows: Any) -> tuple[Any, list[str], list[str]]:
    import pandas as pd

    numbers, codes = [f"n{i}" for i in range(NUMBERS)], [f"c{i}" for i in range(len(CARDINALITIES))]
    frame = pd.DataFrame(rows.inputs[0].numpy(), columns=numbers)
    for index, name in enumerate(codes):
        frame[name] = rows.inputs[2][:, index].numpy()
    frame["y"] = rows.target.numpy().astype(int)
    return frame, numbers, codes


def fastai_arm(rows: Any, batch_size: int) -> Iterator[float]:
    """Yield the CPU seconds of an epoch of fastai's tabular_learner with two layers of 256, without bar or metrics."""
    from fastai.tabular.all import Categorify, CategoryBlock, TabularDataLoaders, tabular_learner

    frame, numbers, codes = _frame(rows)
    loaders = TabularDataLoaders.from_df(
        frame,
        cat_names=codes,
        cont_names=numbers,
        y_names="y",
        y_block=CategoryBlock(),
        procs=[Categorify],
        bs=batch_size,
        valid_idx=list(range(256)),
        num_workers=0,
    )
    learner = tabular_learner(loaders, layers=[WIDTH, WIDTH])
    with learner.no_bar(), learner.no_logging():
        learner.fit(1)
        while True:
            started = cpu_seconds()
            learner.fit(1)
            yield cpu_seconds() - started


def pytorch_tabular_arm(rows: Any, batch_size: int) -> Iterator[float]:
    """Yield the CPU seconds of an epoch of pytorch-tabular's CategoryEmbedding with two layers of 256, without bar."""
    from pytorch_lightning import Callback
    from pytorch_tabular import TabularModel
    from pytorch_tabular.config import DataConfig, OptimizerConfig, TrainerConfig
    from pytorch_tabular.models import CategoryEmbeddingModelConfig

    frame, numbers, codes = _frame(rows)
    while True:
        clock = _lightning_clock(Callback)
        with tempfile.TemporaryDirectory() as folder:
            model = TabularModel(
                data_config=DataConfig(target=["y"], continuous_cols=numbers, categorical_cols=codes, num_workers=0),
                model_config=CategoryEmbeddingModelConfig(task="classification", layers=f"{WIDTH}-{WIDTH}"),
                optimizer_config=OptimizerConfig(),
                trainer_config=TrainerConfig(
                    batch_size=batch_size,
                    max_epochs=2,
                    accelerator="cpu",
                    early_stopping=None,
                    checkpoints=None,
                    load_best=False,
                    progress_bar="none",
                    trainer_kwargs={"default_root_dir": folder, "enable_model_summary": False},
                ),
                verbose=False,
                suppress_lightning_logger=True,
            )
            model.fit(train=frame, validation=frame[:256], callbacks=[clock])
        yield clock.seconds[1]


# Measuring


def loops(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return rows per CPU second of our loop, the bare one and the naive one, by batch size."""
    import torch

    from ropewalk.training.allocation import keep_freed_memory

    keep_freed_memory()
    torch.set_num_threads(1)
    rows = make_rows(arguments.rows)
    found = {}
    for batch_size in BATCHES:
        others = {name: _by_hand(name, batch_size, arguments.rows) for name in BY_HAND}
        found[str(batch_size)] = ours_in_turn(rows, batch_size, arguments.rounds, others)
        able = torch.cpu.get_capabilities()
        if able.get("avx512_bf16") or able.get("amx_bf16"):
            others = {"naive": _by_hand("naive", batch_size, arguments.rows)}
            found[f"{batch_size} bf16"] = ours_in_turn(rows, batch_size, arguments.rounds, others, "bfloat16")
        else:
            found["bf16"] = "not measured: this processor does not multiply bfloat16"
    return found


def _framework(name: str) -> Callable[[argparse.Namespace], Any]:
    arms = {
        "lightning": lightning_arm,
        "skorch": skorch_arm,
        "fastai": fastai_arm,
        "pytorch_tabular": pytorch_tabular_arm,
    }

    def measure(arguments: argparse.Namespace) -> Any:
        if importlib.util.find_spec(name) is None:
            return f"not measured: {name} is not installed"
        import logging
        import warnings

        import torch

        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        torch.set_num_threads(1)
        rows = make_rows(arguments.rows)
        others = {"bare": _timed(bare(rows, 1024)), name: arms[name](rows, 1024)}
        return {
            "version": importlib.metadata.version(name),
            "1024": ours_in_turn(rows, 1024, arguments.rounds, others),
        }

    return measure


def _by_hand(name: str, batch_size: int, rows: int) -> Iterator[float]:
    """Yield the CPU seconds of an epoch of a loop in a process of its own, which waits between its epochs."""
    command = [sys.executable, __file__, "--rows", str(rows), "--by-hand", name, str(batch_size)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        while True:
            process.stdin.write("epoch\n")
            process.stdin.flush()
            yield float(process.stdout.readline())


def _answer_by_hand(name: str, batch_size: str, rows: int) -> None:
    """Take an epoch for each line that is read, and print its CPU seconds, until there are no more."""
    import torch

    torch.set_num_threads(1)
    seconds = _timed(BY_HAND[name](make_rows(rows), int(batch_size)))
    for _ in sys.stdin:
        print(next(seconds), flush=True)


def _timed(arm: Arm) -> Iterator[float]:
    while True:
        started = cpu_seconds()
        arm()
        yield cpu_seconds() - started


def cpu_seconds() -> float:
    """Return the CPU time of this process, all threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _ratios(found: dict[str, Any]) -> dict[str, Any]:
    ratios: dict[str, Any] = {}
    for batch_size in BATCHES:
        for pair, which in (
            ("ours / bare", f"{batch_size}"),
            ("ours / naive", f"{batch_size}"),
            ("ours bf16 / naive", f"{batch_size} bf16"),
        ):
            measured = found["loops"].get(which)
            if measured:
                faster = _faster(measured["ours"], measured[pair.split(" / ")[1]])
                ratios[f"{pair}, B={batch_size}"] = _against(faster, BARS[pair][batch_size])
    for name in FRAMEWORKS:
        if isinstance(found[name], dict):
            measured = found[name]["1024"]
            pair = f"ours / {name}"
            ratios[f"{pair}, B=1024"] = _against(_faster(measured["ours"], measured[name]), BARS[pair][1024])
    return ratios


def _faster(one: list[float], two: list[float]) -> float:
    """Return how many times faster `one` is than `two`: the median over rounds, whose arms ran one after the other."""
    return statistics.median(b / a for a, b in zip(one, two, strict=True))


def _against(ratio: float, bar: float) -> dict[str, Any]:
    return {"ratio": round(ratio, 3), "bar": bar, "met": ratio >= bar}


def _startup(rounds: int) -> dict[str, float]:
    """Return the CPU seconds of `import torch`, and of `python -m ropewalk.training` up to its first step."""
    probe = (
        "import resource, runpy, sys, torch\n"
        "def told(*_, **__):\n"
        "    used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "    sys.stdout.write(f'{used.ru_utime + used.ru_stime}\\n'); sys.stdout.flush()\n"
        "    import os; os._exit(0)\n"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _small_splits(folder)
        arguments = [f"--{each}={folder / each}" for each in ("train", "validation", "preprocessor")]
        begin = f"torch._fused_adamw_ = told\nsys.argv[1:] = {[*arguments, f'--model={folder}/model']!r}\n"
        run = begin + "runpy.run_module('ropewalk.training', run_name='__main__')"
        seconds: dict[str, list[float]] = {"import torch": [], "first step": []}
        for _ in range(rounds):
            for key, code in (("import torch", probe + "told()"), ("first step", probe + run)):
                environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src")}
                command = [sys.executable, "-c", code]
                ended = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
                seconds[key].append(float(ended.stdout.splitlines()[-1]))
    medians = {key: round(statistics.median(each), 3) for key, each in seconds.items()}
    return {**medians, "difference": round(medians["first step"] - medians["import torch"], 3), "bar": 1.0}


def _small_splits(folder: Path) -> None:
    import numpy as np
    import pandas as pd

    from ropewalk.artifacts import RAW_DATA, write_artifact
    from ropewalk.preprocess.preprocess import preprocess

    random = np.random.default_rng(0)
    table = pd.DataFrame({"x": random.normal(size=2000), "c": random.choice(["a", "b"], 2000)})
    table["y"] = np.where(table["x"] + (table["c"] == "a") > 0, "yes", "no")
    with write_artifact(folder / "raw", RAW_DATA) as draft:
        (draft.folder / "data").mkdir()
        table.to_parquet(draft.folder / "data" / "table.parquet")
    names = ("train", "validation", "test", "preprocessor")
    preprocess(folder / "raw", **{name: folder / name for name in names}, target="y", task="binary")


# On a GPU


def gpu(arguments: argparse.Namespace) -> Any:
    """Return rows per second of a replayed, an eager and a naive step, how busy the GPU is, and the floors."""
    import torch

    if not torch.cuda.is_available():
        return "not measured: no GPU"
    rows = make_rows(max(arguments.rows, 2_000_000), "cuda")
    found: dict[str, Any] = {"device": torch.cuda.get_device_name(), "floor": _floors()}
    for batch_size in BATCHES:
        speeds = {
            "graph": _gpu_speed(rows, batch_size, torch.float32, replayed=True),
            "eager": _gpu_speed(rows, batch_size, torch.float32, replayed=False),
            "graph bf16": _gpu_speed(rows, batch_size, torch.bfloat16, replayed=True),
            "naive": _wall_speed(naive(_few(rows, 200_000), batch_size, "cuda")),
        }
        found[str(batch_size)] = {**speeds, "busy_percent": _busy(rows, batch_size)}
    found["bars"] = {
        "graph / eager, B=1024": _against(found["1024"]["graph"] / found["1024"]["eager"], 3.0),
        "graph / naive, B=1024": _against(found["1024"]["graph"] / found["1024"]["naive"], 20.0),
        "graph bf16, B=8192, million rows/s": _against(found["8192"]["graph bf16"] / 1e6, 30.0),
        "busy, B=8192": _against(found["8192"]["busy_percent"] / 100, 0.9),
    }
    return found


def _few(rows: Any, count: int) -> Any:
    from ropewalk.training.rows import Rows

    return Rows(tuple(each[:count] for each in rows.inputs), rows.target[:count])


def _gpu_step(batch_size: int, precision: Any, *, replayed: bool) -> Any:
    from ropewalk.training.distributed import Group
    from ropewalk.training.optimizer import AdamW
    from ropewalk.training.step import ReplayedStep, Step

    network = make_network().cuda()
    optimizer = AdamW(network.parameters(), weight_decay=0.02)
    optimizer.rate.fill_(1e-3)
    group = Group(rank=0, world=1)
    step = Step(network, optimizer, task="binary", precision=precision, accumulate=1, clip=None, group=group)
    if not replayed:
        return step
    state = [*network.state_dict().values(), *optimizer.tensors.values()]
    return ReplayedStep(step, state=state, batch_size=batch_size, group=group)


def _gpu_epoch(rows: Any, batch_size: int, step: Any) -> int:
    """Take the whole batches of an epoch; any wait for the GPU is an error."""
    import torch

    order = torch.randperm(len(rows), device="cuda")
    batches = order[: len(rows) // batch_size * batch_size].split(batch_size)
    torch.cuda.set_sync_debug_mode("error")
    for batch in batches:
        step(rows, batch, batch_size)
    torch.cuda.set_sync_debug_mode("default")
    torch.cuda.synchronize()
    return len(batches) * batch_size


def _gpu_speed(rows: Any, batch_size: int, precision: Any, *, replayed: bool) -> float:
    step = _gpu_step(batch_size, precision, replayed=replayed)
    step(rows, _first(rows, batch_size), batch_size)
    return _wall_speed(lambda: _gpu_epoch(rows, batch_size, step))


def _first(rows: Any, batch_size: int) -> Any:
    import torch

    return torch.arange(batch_size, device=rows.target.device)


def _wall_speed(arm: Arm) -> float:
    speeds = []
    for _ in range(6):
        started = time.perf_counter()
        speeds.append(arm() / (time.perf_counter() - started))
    return statistics.median(speeds[1:])


def _busy(rows: Any, batch_size: int) -> float:
    """Return the share of the time in which a kernel runs, by the profiler, in percent."""
    import torch

    step = _gpu_step(batch_size, torch.bfloat16, replayed=True)
    step(rows, _first(rows, batch_size), batch_size)
    _gpu_epoch(rows, batch_size, step)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        started = time.perf_counter()
        _gpu_epoch(rows, batch_size, step)
        wall = time.perf_counter() - started
    return 100 * sum(event.self_device_time_total for event in profile.key_averages()) / 1e6 / wall


def _floors() -> dict[str, float]:
    """Return rows per second that memory and arithmetic alone allow, from what this GPU reaches."""
    import torch

    def seconds(call: Callable[[], Any]) -> float:
        call()
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        for _ in range(20):
            call()
        end.record()
        torch.cuda.synchronize()
        return begin.elapsed_time(end) / 20e3

    block = torch.empty(2**28, device="cuda")
    target = torch.empty_like(block)
    copied = 2 * block.numel() * 4 / seconds(lambda: target.copy_(block))
    matrix = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
    flops = 2 * 8192**3 / seconds(lambda: matrix @ matrix)
    # Forward and backward: 6 operations per weight of a linear layer; about 14 KB of activations per row.
    weights = (NUMBERS + sum(min(50, (size + 1) // 2) for size in CARDINALITIES)) * WIDTH + WIDTH * WIDTH + WIDTH
    return {"by_bytes": copied / 14e3, "by_flops": flops / (6 * weights)}


def _show(figures: dict[str, Any]) -> None:
    print(f"\n{figures['machine']}; {figures['rows']:,} rows, medians of {figures['rounds']} epochs\n")
    for arm, found in figures["epoch_cpu_s"].items():
        if isinstance(found, str):
            print(f"  {arm}: {found}")
            continue
        for name, each in ((name, each) for name, each in found.items() if isinstance(each, dict)):
            speeds = {which: round(figures["rows"] / statistics.median(seconds)) for which, seconds in each.items()}
            print(f"  {arm}, B={name}, rows per CPU second: {speeds}")
    for name, each in figures["ratios"].items():
        print(f"  {name:<36}{each['ratio']:6.2f} times, bar {each['bar']}: {'met' if each['met'] else 'NOT met'}")
    print(f"  start-up, CPU seconds: {figures['startup_cpu_s']}")
    print(f"  GPU: {figures['gpu']}")


BY_HAND: dict[str, Callable[[Any, int], Arm]] = {"bare": bare, "naive": naive}

ARMS: dict[str, Callable[[argparse.Namespace], Any]] = {
    "loops": loops,
    **{name: _framework(name) for name in FRAMEWORKS},
    "gpu": gpu,
}

if __name__ == "__main__":
    main()
