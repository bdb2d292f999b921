"""Small pipelines with every kind of ending, compiled once, and a way to run the command line on them."""
# ruff: noqa: B006, T201 (KFP copies a dict's default; a step speaks by printing)

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from kfp import compiler, dsl

step = dsl.component(base_image="example.org/steps:1", install_kfp_package=False)


@step
def make_text(text: str, count: int, config: dict, data: dsl.Output[dsl.Dataset]) -> NamedTuple(
    "Outputs", [("echo", str)]
):
    from pathlib import Path

    print(f"count is {count} and config {config}")
    Path(data.path).write_text(text, encoding="utf-8")
    return (text,)


@step
def measure(data: dsl.Input[dsl.Dataset], metrics: dsl.Output[dsl.Metrics], page: dsl.Output[dsl.HTML]):
    from pathlib import Path

    size = len(Path(data.path).read_text(encoding="utf-8"))
    metrics.log_metric("characters", float(size))
    Path(page.path).write_text(f"<p>{size}</p>", encoding="utf-8")


@step
def name_model(run_id: str, run_name: str) -> NamedTuple(
    "Outputs", [("model_name", str), ("version", str), ("run", str)]
):
    return ("tiny-model", "3", run_id + "/" + run_name)


@step
def look_back(status: dsl.PipelineTaskFinalStatus, run_id: str, page: dsl.Output[dsl.HTML]):
    import os
    from pathlib import Path

    folder = Path(os.environ["ROPEWALK_RUN_DIR"])
    failure = folder / "failure.json"
    told = failure.read_text(encoding="utf-8") if failure.exists() else "{}"
    steps = (folder / "steps.json").read_text(encoding="utf-8")
    Path(page.path).write_text("\n".join([status.state, run_id, told.replace("\n", ""), steps]), encoding="utf-8")


@step
def fail(text: str):
    print("about to fail")
    raise ValueError("the 7th row of " + text + " is wrong\n  - remove it")


@step
def write_nothing(data: dsl.Output[dsl.Dataset]):
    print("all is well")


@step
def leave_early(data: dsl.Output[dsl.Dataset]):
    import sys
    from pathlib import Path

    Path(data.path).write_text("half", encoding="utf-8")
    sys.exit(0)


@step
def write_half_an_artifact(data: dsl.Output[dsl.Dataset]):
    import json
    from pathlib import Path

    Path(data.path).mkdir()
    manifest = {"files": {"rows.csv": {"bytes": 7, "sha256": ""}}}
    (Path(data.path) / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


@step
def die(number: int):
    import os

    os.kill(os.getpid(), number)


@step
def sleep(seconds: float, pid_file: str):
    import os
    import time
    from pathlib import Path

    Path(pid_file).write_text(str(os.getpid()), encoding="utf-8")
    time.sleep(seconds)


@step
def leave_a_child_behind():
    import subprocess

    print(subprocess.Popen(["sleep", "60"]).pid)


@step
def fail_once(marker: str):
    from pathlib import Path

    if not Path(marker).exists():
        Path(marker).touch()
        raise RuntimeError("not yet")


@step
def make_long() -> str:
    return "x" * 200_000


@step
def take(text: str):
    print(len(text))


@dsl.pipeline(name="passing")
def passing(text: str, count: int = 2, config: dict = {}):
    """Writes a text and measures it.

    Args:
        text: What to write.
        count: How often.
        config: The rest.
    """
    with dsl.ExitHandler(look_back(run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER)):
        made = make_text(text=text, count=count, config=config)
        measure(data=made.outputs["data"])
        name_model(run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER, run_name=dsl.PIPELINE_JOB_NAME_PLACEHOLDER)


@dsl.pipeline(name="failing")
def failing(text: str = "table.csv"):
    with dsl.ExitHandler(look_back(run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER)):
        failed = fail(text=text)
        take(text="never").after(failed)


@dsl.pipeline(name="empty-handed")
def empty_handed():
    measure(data=write_nothing().outputs["data"])


@dsl.pipeline(name="leaving-early")
def leaving_early():
    measure(data=leave_early().outputs["data"])


@dsl.pipeline(name="half-done")
def half_done():
    measure(data=write_half_an_artifact().outputs["data"])


@dsl.pipeline(name="dying")
def dying(number: int = 9):
    die(number=number)


@dsl.pipeline(name="sleeping")
def sleeping(pid_file: str, seconds: float = 60.0):
    sleep(seconds=seconds, pid_file=pid_file)


@dsl.pipeline(name="parent")
def parent():
    leave_a_child_behind()


@dsl.pipeline(name="retrying")
def retrying(marker: str):
    fail_once(marker=marker).set_retry(num_retries=1, backoff_duration="0s")


@dsl.pipeline(name="looping")
def looping():
    with dsl.ParallelFor(["a", "bb"]) as item:
        take(text=item)


@dsl.pipeline(name="too-long")
def too_long():
    take(text=make_long().output)


PIPELINES = [
    passing,
    failing,
    empty_handed,
    leaving_early,
    half_done,
    dying,
    sleeping,
    parent,
    retrying,
    looping,
    too_long,
]


@dataclass
class Ropewalk:
    """The command line, in a folder and with a state folder of its own."""

    folder: Path
    home: Path
    pipelines: Path
    started: list["subprocess.Popen[str]"] = field(default_factory=list)

    def start(self, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
        """Start `ropewalk ARGUMENTS` in a process group of its own, as a shell does."""
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", "from ropewalk.cli import main; main()", *arguments],
            cwd=self.folder,
            env={**os.environ, "ROPEWALK_HOME": str(self.home), "COLUMNS": "200", **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def call(self, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """Run `ropewalk ARGUMENTS` to its end."""
        process = self.start(*arguments, **environment)
        out, err = process.communicate(timeout=500)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def run(self, pipeline: str, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """Run one of the pipelines of this file to its end."""
        return self.call("run", self.yaml(pipeline), *arguments, **environment)

    def yaml(self, pipeline: str) -> str:
        """Return the compiled pipeline's path."""
        return str(self.pipelines / f"{pipeline}.yaml")

    def folders(self) -> list[Path]:
        """Return the folders of all runs."""
        return sorted((self.home / "runs").glob("*"))

    def record(self) -> dict[str, Any]:
        """Return run.json of the only run."""
        (folder,) = self.folders()
        return json.loads((folder / "run.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the YAML of every pipeline of this file."""
    folder = tmp_path_factory.mktemp("compiled")
    for pipeline in PIPELINES:
        compiler.Compiler().compile(pipeline, str(folder / f"{pipeline.name}.yaml"))
    return folder


@pytest.fixture
def ropewalk(tmp_path: Path, compiled: Path) -> Iterator[Ropewalk]:
    """The command line, in a folder whose name holds a space and `python3`."""
    folder = tmp_path / "a folder of python3"
    folder.mkdir()
    line = Ropewalk(folder=folder, home=folder / "home", pipelines=compiled)
    yield line
    for process in line.started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.fixture
def wait_for() -> Callable[[Callable[[], Any]], Any]:
    """Return what a function returns as soon as that is true, for at most 20 s."""

    def wait(condition: Callable[[], Any]) -> Any:
        end = time.monotonic() + 20
        while time.monotonic() < end:
            found = condition()
            if found:
                return found
            time.sleep(0.05)
        raise AssertionError(f"{condition} did not come true within 20 s")

    return wait
