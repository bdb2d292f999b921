"""Two processes under torchrun train the model that one process trains."""

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from ropewalk.training.model import load_model

# Without dropout, whose random numbers differ from process to process.
SETTINGS = {
    "--epochs": 3,
    "--width": 16,
    "--depth": 2,
    "--number-embedding": 4,
    "--dropout": 0,
    "--unknown-rate": 0,
    "--batch-size": 50,
    # Some processors multiply bfloat16, whose sums differ in the third digit.
    "--precision": "float32",
}
TOLERANCE = 2e-4
"""Sums in another order differ in the seventh digit, and AdamW divides small gradients by their own size."""


def command(folder: Path, model: Path, *, processes: int = 2, train: Path | None = None, **settings: object) -> list:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", processes, "--master-port", port]
    arguments = {"--train": train or folder / "train", "--validation": folder / "validation", "--model": model}
    arguments |= {"--preprocessor": folder / "preprocessor", **SETTINGS}
    arguments |= {f"--{name.replace('_', '-')}": value for name, value in settings.items()}
    parts = [*(launcher if processes > 1 else []), "-m", "ropewalk.training"]
    return [sys.executable, *map(str, [*parts, *(word for pair in arguments.items() for word in pair)])]


def run(words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=240)


def fit(folder: Path, model: Path, **settings: object) -> tuple[dict[str, np.ndarray], list[dict]]:
    ended = run(command(folder, model, **settings))
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("epoch 1/3") == 1
    assert ended.stdout.count('"kind": "model"') == 1
    return load_file(model / "weights.safetensors"), load_model(model).history


def assert_same_model(one: tuple, two: tuple) -> None:
    assert [entry["rows"] for entry in two[1]] == [entry["rows"] for entry in one[1]]
    for name, expected in one[0].items():
        np.testing.assert_allclose(two[0][name], expected, atol=TOLERANCE, err_msg=name)
    for entry, expected in zip(two[1], one[1], strict=True):
        for name in ("train_loss", "validation_loss", "validation_roc_auc"):
            assert entry[name] == pytest.approx(expected[name], abs=1e-4)


def farthest(one: tuple, two: tuple) -> float:
    return max(float(np.abs(two[0][name] - expected).max()) for name, expected in one[0].items())


def test_two_processes_give_the_model_of_one(prepared, tmp_path: Path) -> None:
    one = fit(prepared(), tmp_path / "one", processes=1)
    assert one[1][0]["rows"] == len(prepared_rows(prepared()))
    assert_same_model(one, fit(prepared(), tmp_path / "two"))
    # As far apart as this are models of steps on half as many rows: what processes that exchange nothing would give.
    half = fit(prepared(), tmp_path / "half", processes=1, batch_size=25)
    assert farthest(one, half) > 100 * TOLERANCE


def test_a_last_batch_with_fewer_rows_than_processes_counts_once(prepared, regrouped, tmp_path: Path) -> None:
    # 7 row groups of 150, of which two are in memory at a time: steps of 50, and at the end of a file one row or two.
    train = regrouped(prepared() / "train", 150)
    streamed = {"train": train, "table_gigabytes": 1e-9, "shuffle_rows": 151, "batch_size": 149}
    one = fit(prepared(), tmp_path / "one", processes=1, **streamed)
    assert one[1][0]["rows"] == len(prepared_rows(prepared()))
    assert_same_model(one, fit(prepared(), tmp_path / "two", **streamed))


def prepared_rows(folder: Path) -> range:
    return range(json.loads((folder / "train" / "manifest.json").read_text())["facts"]["rows"])


def test_a_process_that_fails_ends_all_and_its_reason_comes_first(prepared, tmp_path: Path) -> None:
    words = command(prepared(), tmp_path / "model", epochs=400)
    code = (
        "import os, torch\n"
        "kernel = torch._fused_adamw_\n"
        "def failing(*arguments, **named):\n"
        "    if os.environ['RANK'] == '1':\n"
        "        raise ZeroDivisionError('the reason')\n"
        "    kernel(*arguments, **named)\n"
        "torch._fused_adamw_ = failing\n"
        "import runpy\n"
        "runpy.run_module('ropewalk.training', run_name='__main__')\n"
    )
    script = tmp_path / "failing.py"
    script.write_text(code)
    where = len(words) - words[::-1].index("-m") - 1
    ended = run([*words[:where], str(script), *words[where + 2 :]])
    assert ended.returncode != 0
    assert not (tmp_path / "model").exists()
    reason = ended.stderr.index("ZeroDivisionError: the reason")
    assert "another one has gone" not in ended.stderr[:reason]


def test_processes_that_are_terminated_keep_one_state_and_go_on(prepared, tmp_path: Path) -> None:
    model = tmp_path / "model"
    words = command(prepared(), model, epochs=30)
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert any(line.startswith("epoch 2/30") for line in process.stdout)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode != 0
    assert not model.exists()
    again = run(command(prepared(), model, epochs=30))
    assert again.returncode == 0, again.stderr
    assert re.search(r"^going on from the checkpoint at step \d+ of epoch \d+/30$", again.stdout, re.MULTILINE)
    undisturbed = run(command(prepared(), tmp_path / "undisturbed", epochs=30))
    assert undisturbed.returncode == 0, undisturbed.stderr
    files = [folder / "weights.safetensors" for folder in (model, tmp_path / "undisturbed")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_group_without_a_meeting_place_is_refused(prepared, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    ended = run(command(prepared(), tmp_path / "model", processes=1))
    assert ended.returncode == 1
    assert "MASTER_ADDR does not say where they meet" in ended.stderr
