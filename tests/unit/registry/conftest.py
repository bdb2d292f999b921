"""A real tracking server: MLflow with users and passwords, PostgreSQL behind it, and an S3-speaking artifact store."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import boto3
import pytest
import requests
from filelock import FileLock

ADMIN, ADMIN_PASSWORD = "admin", "a-secret-of-the-admin"
READER, READER_PASSWORD = "reader", "a-secret-of-the-reader"
BUCKET = "models"
KEYS = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_DEFAULT_REGION": "us-east-1"}
AUTH = """
[mlflow]
default_permission = READ
database_uri = sqlite:///{folder}/auth.db
admin_username = admin
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
auth_cache_ttl_seconds = 600
"""


@dataclass(kw_only=True)
class Server:
    """The running parts, as their process ids; any test process can stop and start MLflow."""

    folder: str
    database: str
    """PostgreSQL's folder; its user must be able to reach it."""
    port: int
    store_port: int
    mlflow: int = 0
    store: int = 0

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def bucket(self) -> "boto3.resources.base.ServiceResource":
        keys = {"aws_access_key_id": "k", "aws_secret_access_key": "s", "region_name": "us-east-1"}
        return boto3.resource("s3", endpoint_url=f"http://127.0.0.1:{self.store_port}", **keys).Bucket(BUCKET)

    def start(self) -> None:
        """Start MLflow and wait until it answers."""
        command = [
            *(sys.executable, "-m", "mlflow", "server", "--host=127.0.0.1", f"--port={self.port}", "--workers=1"),
            *("--app-name=basic-auth", f"--allowed-hosts=127.0.0.1:{self.port}"),
            f"--backend-store-uri=postgresql+psycopg2://mlflow@/mlflow?host={self.database}",
            f"--artifacts-destination=s3://{BUCKET}/root",
        ]
        settings = {
            "MLFLOW_AUTH_CONFIG_PATH": f"{self.folder}/auth.ini",
            "MLFLOW_AUTH_ADMIN_PASSWORD": ADMIN_PASSWORD,
            "MLFLOW_FLASK_SERVER_SECRET_KEY": "for the tests",
            "MLFLOW_S3_ENDPOINT_URL": f"http://127.0.0.1:{self.store_port}",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }
        with Path(self.folder, "server.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                env={**os.environ, **KEYS, **settings},
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.mlflow = process.pid
        _wait_until(lambda: requests.get(f"{self.uri}/health", timeout=2).ok, process, "mlflow server")

    def signal(self, number: int) -> None:
        """Send a signal to all of MLflow's processes."""
        os.killpg(self.mlflow, number)

    def stop(self) -> None:
        """Kill MLflow at once, as a node that dies does."""
        self.signal(signal.SIGKILL)


def _wait_until(answers: Callable[[], bool], process: "subprocess.Popen[bytes]", title: str) -> None:
    end = time.monotonic() + 180
    while process.poll() is None and time.monotonic() < end:
        try:
            if answers():
                # It may outlive this process, which is no mistake to be warned of.
                process.returncode = 0
                return
        except requests.RequestException:
            time.sleep(0.2)
    raise AssertionError(f"{title} did not start; exit code {process.poll()}")


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def _start_all(folder: Path) -> Server:
    folder.mkdir()
    port, store_port = _free_ports(2)
    # PostgreSQL does not run as root, and its own user must reach its files.
    database = tempfile.mkdtemp(prefix="ropewalk-postgres-")
    server = Server(folder=str(folder), database=database, port=port, store_port=store_port)
    (folder / "auth.ini").write_text(AUTH.format(folder=folder), encoding="utf-8")
    if os.getuid() == 0:
        shutil.chown(database, "postgres", "postgres")
    _postgres(database, "initdb", "-D", f"{database}/data", "--auth=trust", "--no-sync", "--username=mlflow")
    options = f"-c listen_addresses= -c unix_socket_directories={database} -c fsync=off"
    _postgres(database, "pg_ctl", "-D", f"{database}/data", "-w", "-o", options, "-l", f"{database}/log", "start")
    _postgres(database, "createdb", "--host", database, "--username=mlflow", "mlflow")
    moto = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(store_port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    server.store = moto.pid
    _wait_until(lambda: requests.get(f"http://127.0.0.1:{store_port}/", timeout=2).ok, moto, "moto")
    server.bucket.create()
    server.start()
    made = requests.post(
        f"{server.uri}/api/2.0/mlflow/users/create",
        json={"username": READER, "password": READER_PASSWORD},
        auth=(ADMIN, ADMIN_PASSWORD),
        timeout=30,
    )
    made.raise_for_status()
    return server


def _stop_all(server: Server) -> None:
    server.stop()
    os.kill(server.store, signal.SIGTERM)
    _postgres(server.database, "pg_ctl", "-D", f"{server.database}/data", "-m", "immediate", "stop")
    shutil.rmtree(server.database)


def _postgres(database: str, program: str, *arguments: str) -> None:
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    found = shutil.which(program, path=os.pathsep.join([*map(str, reversed(folders)), os.environ["PATH"]]))
    assert found, f"{program} is missing: apt-get install postgresql"
    user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.getuid() == 0 else {}
    subprocess.run(
        [found, *arguments], cwd=database, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **user
    )


@pytest.fixture(scope="session")
def _servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Folder of the one server of all test processes: the first that needs it starts it, the last one stops it."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    users, state = shared / "tracking-users", shared / "tracking.json"
    me = users / str(os.getpid())
    with FileLock(shared / "tracking-start.lock"):
        users.mkdir(exist_ok=True)
        if not state.exists():
            state.write_text(json.dumps(asdict(_start_all(shared / f"tracking-{os.getpid()}"))), encoding="utf-8")
        me.touch()
    yield shared
    with FileLock(shared / "tracking-start.lock"):
        me.unlink()
        if not list(users.iterdir()):
            _stop_all(Server(**json.loads(state.read_text(encoding="utf-8"))))
            state.unlink()


@pytest.fixture
def server(_servers: Path, store: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """The server, for one test at a time, with the admin's credentials set."""
    with FileLock(_servers / "tracking-use.lock"):
        found = Server(**json.loads((_servers / "tracking.json").read_text(encoding="utf-8")))
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", ADMIN)
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", ADMIN_PASSWORD)
        yield found
        (_servers / "tracking.json").write_text(json.dumps(asdict(found)), encoding="utf-8")


@pytest.fixture
def subject(
    make_model: Callable[..., Path], make_evaluation: Callable[..., Path], report: Path
) -> tuple[Path, Path, Path]:
    """Model, evaluation and page of one run."""
    model = make_model()
    return model, make_evaluation(model), report


RACE = """
import multiprocessing, sys
from pathlib import Path
import mlflow.pyfunc, mlflow.store.tracking.rest_store, mlflow.store.artifact.mlflow_artifacts_repo, sqlalchemy.orm
import mlflow.store.model_registry.sqlalchemy_store, mlflow.store.tracking.sqlalchemy_store, ropewalk.registry.package
from ropewalk.registry.register import register

sqlalchemy.orm.configure_mappers()

def attempt(_place):
    done = register(*map(Path, sys.argv[5:]), name=sys.argv[2], run_id=sys.argv[3], tracking_uri=sys.argv[4])
    return f"version {done.version} run {done.mlflow_run_id}"

count = int(sys.argv[1])
with multiprocessing.get_context("fork").Pool(count, maxtasksperchild=1) as pool:
    print("\\n".join(pool.map(attempt, range(count), chunksize=1)))
"""


@pytest.fixture
def race(subject: tuple[Path, Path, Path]) -> Callable[..., set[str]]:
    """Return a function that registers in so many processes at once and gives what the attempts came to."""

    def run(count: int, *, name: str, run_id: str, uri: str) -> set[str]:
        # One process imports MLflow for all of them, as twenty imports take a minute of CPU.
        command = [sys.executable, "-c", RACE, str(count), name, run_id, uri, *map(str, subject)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        came = [line for line in done.stdout.splitlines() if line.startswith("version ")]
        assert len(came) == count
        return set(came)

    return run
