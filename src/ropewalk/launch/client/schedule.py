"""Recurring runs as a file declares them: read, checked, and turned into what the API takes."""

import datetime
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from ropewalk.config import parse_config
from ropewalk.errors import ConfigError, nearest
from ropewalk.launch.client.version_name import check_version_name
from ropewalk.launch.parameters import parse_parameters
from ropewalk.launch.specification import Specification

_OWNER = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_EVERY = re.compile(r"(\d+)\s*([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_NICKNAMES = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
_MARK = re.compile(r"\[ropewalk ([a-z0-9-]+)/(\S+) ([0-9a-f]{16})\]\s*$")
_KNOWN = ("owner", "schedules")


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """One recurring run."""

    name: str
    """Its name: up to 63 lower-case letters, digits, '.' and '-', once in a file."""
    pipeline: str
    """Name of the published pipeline."""
    version: str = ""
    """Name of its version; "" is the newest when the file is applied."""
    cron: str = ""
    """When: six fields, seconds first, as in "0 0 3 * * *" for three o'clock; the server's time zone, mostly UTC."""
    every: str = ""
    """Or how often: a number and s, m, h or d, such as "6h"; at least a minute."""
    start: str = ""
    """From when on, ISO 8601 with a time zone; "": at once."""
    end: str = ""
    """Until when; "": for ever."""
    parameters: dict[str, Any] = field(default_factory=dict)
    """Values of the pipeline's parameters; its defaults hold for the rest."""
    experiment: str = ""
    """The experiment that its runs belong to; "": the profile's, or the default one."""
    description: str = ""
    """What it is for."""
    enabled: bool = True
    """Whether it starts runs; false keeps it without."""
    max_concurrency: int = 1
    """How many of its runs may go on at once, 1 to 10."""
    catchup: bool = False
    """Whether runs that were missed are started afterwards, one for each time."""
    service_account: str = ""
    """The Kubernetes service account of its pods; "": the profile's, or the server's default."""

    def __post_init__(self) -> None:
        check_version_name(self.name)
        if bool(self.cron) == bool(self.every):
            raise ConfigError(f"{self.name}: need either cron or every, as in cron: '0 0 3 * * *' or every: 6h.")
        if self.cron:
            _check_cron(self.name, self.cron)
        if self.every:
            _seconds(self.name, self.every)
        if not 1 <= self.max_concurrency <= 10:
            raise ConfigError(f"{self.name}: max_concurrency={self.max_concurrency}: need 1 to 10.")
        for name in ("start", "end"):
            _check_time(self.name, name, getattr(self, name))

    @property
    def trigger(self) -> dict[str, Any]:
        """What the API takes for `cron` or `every`."""
        times = {f"{name}_time": getattr(self, name) for name in ("start", "end") if getattr(self, name)}
        if self.cron:
            return {"cron_schedule": {"cron": self.cron, **times}}
        return {"periodic_schedule": {"interval_second": str(_seconds(self.name, self.every)), **times}}


@dataclass(frozen=True, kw_only=True)
class Declared:
    """What a file declares."""

    owner: str
    """Who the schedules belong to; a schedule of this owner that is not in the file is deleted."""
    schedules: tuple[Schedule, ...]


def read_schedules(file: Path) -> Declared:
    """Return what the YAML file `file` declares.

    Raises:
        ConfigError: It cannot be read, or names every setting that is unknown or wrong.
    """
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"The schedules {file} cannot be read ({error}). Give a YAML file.") from error
    if not isinstance(content, dict) or not isinstance(content.get("schedules"), list):
        raise ConfigError(f"{file} declares no schedules: need 'owner: NAME' and 'schedules:' with a list below.")
    for name in content.keys() - set(_KNOWN):
        raise ConfigError(
            f"{file}: there is no setting {name!r}.{nearest(str(name), _KNOWN)} Known: {', '.join(_KNOWN)}."
        )
    owner = content.get("owner")
    if not isinstance(owner, str) or not _OWNER.fullmatch(owner):
        raise ConfigError(
            f"{file}: owner={owner!r}: need a name of lower-case letters, digits and '-'. It says which schedules on "
            "the server this file is about: what it does not list, of this owner, is deleted."
        )
    schedules = tuple(_schedule(file, number, each) for number, each in enumerate(content["schedules"]))
    names = [schedule.name for schedule in schedules]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ConfigError(f"{file}: {', '.join(sorted(twice))}: declared twice. Give each schedule a name of its own.")
    return Declared(owner=owner, schedules=schedules)


def with_defaults(declared: Declared, *, experiment: str, service_account: str) -> Declared:
    """Return what is declared, with these values where a schedule names none."""
    schedules = tuple(
        replace(
            each,
            experiment=each.experiment or experiment,
            service_account=each.service_account or service_account,
        )
        for each in declared.schedules
    )
    return replace(declared, schedules=schedules)


def typed_parameters(schedule: Schedule, specification: Specification) -> dict[str, Any]:
    """Return the schedule's parameters in the types that the pipeline declares.

    Raises:
        ConfigError: One is unknown, missing or of a wrong type.
    """
    texts = {
        name: value if isinstance(value, str) else json.dumps(value) for name, value in schedule.parameters.items()
    }
    try:
        return parse_parameters(texts, specification)
    except ConfigError as error:
        raise ConfigError(f"The schedule {schedule.name!r}: {error}") from error


def digest_of(schedule: Schedule, settled: Mapping[str, Any]) -> str:
    """Return 16 hex digits for all that cannot be changed on the server: everything but `enabled`."""
    content = {name: value for name, value in asdict(schedule).items() if name not in ("enabled", "version")}
    return hashlib.sha256(json.dumps([content, settled], sort_keys=True).encode()).hexdigest()[:16]


def mark(owner: str, schedule: Schedule, digest: str) -> str:
    """Return the description that tells whose a recurring run is, and what it was made from."""
    return f"{schedule.description} [ropewalk {owner}/{schedule.name} {digest}]".strip()


def read_mark(recurring: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """Return owner, name and digest of a recurring run, None when no file declared it."""
    match = _MARK.search(str(recurring.get("description", "")))
    return (match[1], match[2], match[3]) if match else None


def _schedule(file: Path, number: int, content: Any) -> Schedule:
    if not isinstance(content, dict):
        raise ConfigError(
            f"{file}: schedules.{number}: need settings, such as 'name: nightly' and 'pipeline: training'."
        )
    # YAML reads times by itself; the API takes their text.
    texts = {
        name: value.isoformat() if isinstance(value, datetime.date) and name in ("start", "end") else value
        for name, value in content.items()
    }
    return parse_config(Schedule, texts, section=f"{file.name}: schedules.{content.get('name', number)}")


def _check_cron(name: str, cron: str) -> None:
    fields = cron.split()
    if cron in _NICKNAMES:
        return
    if len(fields) == 5:
        raise ConfigError(
            f"{name}: cron={cron!r} has five fields; KFP's have six, with seconds first, and would take the minutes "
            f"for seconds. Write '0 {cron}'."
        )
    if len(fields) != 6 or not all(re.fullmatch(r"[\w*?/,#-]+", each) for each in fields):
        raise ConfigError(
            f"{name}: cron={cron!r}: need six fields, such as '0 0 3 * * *', or one of {', '.join(_NICKNAMES)}."
        )


def _seconds(name: str, every: str) -> int:
    match = _EVERY.fullmatch(every)
    seconds = int(match[1]) * _SECONDS[match[2]] if match else 0
    if seconds < 60:
        raise ConfigError(f"{name}: every={every!r}: need a number and s, m, h or d, at least a minute, such as 6h.")
    return seconds


def _check_time(name: str, setting: str, text: str) -> None:
    try:
        aware = not text or datetime.datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        aware = False
    if not aware:
        raise ConfigError(f"{name}: {setting}={text!r}: need a time with a zone, such as 2026-01-31T03:00:00Z.")
