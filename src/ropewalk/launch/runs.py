"""Runs on this machine: one folder each under `<home>/runs`, with run.json telling how it went."""

import datetime
import fcntl
import json
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ropewalk.artifacts import disk_errors
from ropewalk.errors import ConfigError, StorageError, nearest
from ropewalk.launch.steps import best_of

RUNNING = "running"
SUCCEEDED = "succeeded"
FAILED = "failed"
INTERRUPTED = "interrupted"
UNREADABLE = "unreadable"

PIPELINE = "pipeline.yaml"
LOGS = "logs"
CONTAINERS = "containers.json"
"""In the folder of a run whose steps are containers: how they are made."""
_RECORD = "run.json"
_LOCK = "lock"
_METRICS = "system.Metrics"
_HTML = "system.HTML"


@dataclass(kw_only=True)
class Run:
    """One run of a pipeline."""

    id: str
    """<pipeline>-<date>-<time>-<4 hex digits>; also the name of its folder."""
    pipeline: str
    """The pipeline's name."""
    state: str = RUNNING
    """running, succeeded, failed or interrupted."""
    parameters: dict[str, Any] = field(default_factory=dict)
    """What was given; the pipeline's defaults hold for the rest."""
    started: str = ""
    """ISO 8601, local time with offset."""
    ended: str = ""
    """The same; "" until it has ended."""
    error: str = ""
    """Why it did not succeed."""
    steps: list[dict[str, Any]] = field(default_factory=list)
    """See launch.steps.Step."""
    folder: Path = Path()
    """Where its files are; not stored."""

    @property
    def seconds(self) -> float:
        """How long it took, or has taken so far."""
        end = datetime.datetime.fromisoformat(self.ended) if self.ended else now()
        return (end - datetime.datetime.fromisoformat(self.started)).total_seconds()

    @property
    def metrics(self) -> dict[str, float]:
        """The metrics of the last step that has any."""
        found = [artifact["metadata"] for _, _, artifact in self._artifacts(_METRICS) if artifact["metadata"]]
        return {name: value for name, value in found[-1].items() if isinstance(value, int | float)} if found else {}

    @property
    def reports(self) -> dict[str, Path]:
        """HTML pages by "step-output", in the order in which they were made."""
        return {
            f"{task.replace('/', '.')}-{name}": Path(artifact["path"])
            for task, name, artifact in self._artifacts(_HTML)
        }

    @property
    def report(self) -> Path:
        """The page to open: of a run that succeeded, that of the step that measured; else the last one.

        Raises:
            ConfigError: No step made one.
        """
        measuring = {task for task, _, _ in self._artifacts(_METRICS)} if self.state == SUCCEEDED else set()
        measured = [artifact for task, _, artifact in self._artifacts(_HTML) if task in measuring]
        if measured:
            return Path(measured[-1]["path"])
        if not self.reports:
            raise ConfigError(
                f"The run {self.id} ({self.state}) has no report, no step of it made one. Logs: {self.folder / LOGS}."
            )
        return list(self.reports.values())[-1]

    @property
    def model(self) -> dict[str, Any]:
        """model_name, version and the rest of what was registered; empty when nothing was."""
        registered = [parameters for parameters in self._parameters() if {"model_name", "version"} <= parameters.keys()]
        return registered[-1] if registered else {}

    @property
    def verdict(self) -> str:
        """What the evaluation decided, "" when nothing did."""
        verdicts = [str(parameters["verdict"]) for parameters in self._parameters() if "verdict" in parameters]
        return verdicts[-1] if verdicts else ""

    @property
    def best(self) -> dict[str, Any]:
        """best_parameters, best_value and best_trial of the last search; empty when nothing was searched."""
        found = [best_of(parameters) for parameters in self._parameters()]
        return next((best for best in reversed(found) if best), {})

    def record(self) -> dict[str, Any]:
        """Return what run.json and `ropewalk runs --json` hold."""
        plain = {name: value for name, value in vars(self).items() if name != "folder"}
        results = {
            "metrics": self.metrics,
            "verdict": self.verdict,
            "model": self.model,
            **({"best": self.best} if self.best else {}),
            "reports": {name: str(path) for name, path in self.reports.items()},
        }
        return {**plain, "results": results}

    def save(self) -> None:
        """Write run.json, whole or not at all.

        Raises:
            StorageError: The disk is full or read-only.
        """
        write_whole(self.folder / _RECORD, self.record())

    def _parameters(self) -> list[dict[str, Any]]:
        return [step["outputs"].get("parameters", {}) for step in self.steps]

    def _artifacts(self, kind: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
        for step in self.steps:
            for name, artifact in step["outputs"].get("artifacts", {}).items():
                if artifact["type"] == kind:
                    yield step["task"], name, artifact


@contextmanager
def new_run(home: Path, pipeline: str, parameters: dict[str, Any]) -> Iterator[Run]:
    """Yield a new run with a folder of its own; while the block lasts, other processes see it as alive.

    Raises:
        StorageError: The folder cannot be made, or the disk is full.
    """
    started = now()
    run_id = f"{_slug(pipeline)}-{started:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    folder = home / "runs" / run_id
    try:
        (folder / LOGS).mkdir(parents=True)
    except OSError as error:
        raise StorageError(
            f"Cannot create {folder}: {error.strerror}. Set ROPEWALK_HOME to a folder that you may write to."
        ) from error
    run = Run(
        id=run_id,
        pipeline=pipeline,
        parameters=parameters,
        started=started.isoformat(timespec="microseconds"),
        folder=folder,
    )
    # The kernel drops the lock when the process dies, however it dies.
    with (folder / _LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        run.save()
        yield run


def load_run(folder: Path) -> Run:
    """Return the run in `folder`; one whose process has died without a word is interrupted.

    Raises:
        ConfigError: There is no readable run.json.
    """
    try:
        record = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
        record.pop("results")
        run = Run(**record, folder=folder)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ConfigError(f"{folder} does not hold a run that can be read ({error}).") from error
    if run.state == RUNNING and not is_alive(folder):
        run.state = INTERRUPTED
        run.ended = _last_change(folder)
        run.error = "The process that ran it died."
    return run


def list_runs(home: Path) -> list[Run]:
    """Return every run, newest first; one whose run.json is damaged has the state "unreadable"."""
    runs = [_load_or_unreadable(file.parent) for file in (home / "runs").glob(f"*/{_RECORD}")]
    return sorted(runs, key=lambda run: run.started, reverse=True)


def find_run(home: Path, prefix: str) -> Run:
    """Return the newest run whose id begins with `prefix`.

    Raises:
        ConfigError: There is none.
    """
    runs = list_runs(home)
    for run in runs:
        if run.id.startswith(prefix):
            return run
    if not runs:
        raise ConfigError(f"There are no runs in {home}. Start one with `ropewalk run training`, or set ROPEWALK_HOME.")
    known = [run.id for run in runs]
    raise ConfigError(f"No run in {home} begins with {prefix!r}.{nearest(prefix, known)} See `ropewalk runs`.")


def is_alive(folder: Path) -> bool:
    """Return whether the process that runs the run in `folder` still lives."""
    try:
        with (folder / _LOCK).open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def log_name(task: str) -> str:
    """Return the file name of a step's log."""
    return f"{task.replace('/', '.')}.log"


def now() -> datetime.datetime:
    """Return the time, with this machine's offset."""
    return datetime.datetime.now().astimezone()


def write_whole(path: Path, content: Any) -> None:
    """Write JSON so that a reader sees the old content or the new, never half of it.

    Raises:
        StorageError: The disk is full or read-only.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with disk_errors(path):
        draft.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        draft.replace(path)


def _load_or_unreadable(folder: Path) -> Run:
    try:
        return load_run(folder)
    except ConfigError as error:
        changed = _last_change(folder)
        return Run(
            id=folder.name,
            pipeline="",
            state=UNREADABLE,
            error=str(error),
            started=changed,
            ended=changed,
            folder=folder,
        )


def _last_change(folder: Path) -> str:
    changed = max(file.stat().st_mtime for file in folder.rglob("*"))
    return datetime.datetime.fromtimestamp(changed).astimezone().isoformat(timespec="microseconds")


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "pipeline"
