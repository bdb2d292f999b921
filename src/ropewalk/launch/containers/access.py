"""What one step may reach: which folders, which of the caller's variables, and whether there is a network.

A step has a network only when it is handed an address that lies beyond this machine's files: in a parameter, in a
variable that is meant for it, or by the DVC remote of a repository that it reads or writes.
"""

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ropewalk.errors import ConfigError
from ropewalk.home import embedded_tracking_uri, ropewalk_home

NO_NETWORK = "none"
HOST_NETWORK = "host"
DEFAULT_NETWORK = ""
"""The engine's own."""
AUTO, ON, OFF = "auto", "on", "off"
NETWORK_CHOICES = (AUTO, ON, OFF)

_ADDRESS = re.compile(r"(?!file:|sqlite:)[a-z][a-z0-9+.-]*://|[\w.-]+@[\w.-]+:")
_LOOPBACK = re.compile(r"localhost|127(?:\.\d+){3}|::1")
_COPY = re.compile(r"-\d+$")
_IMAGES_OWN = ("/bin", "/dev", "/etc", "/lib", "/lib64", "/opt", "/proc", "/sbin", "/sys", "/tmp", "/usr")  # noqa: S108
_DATA = ("ROPEWALK_GIT_TOKEN", "ROPEWALK_SSH_KEY", "AWS_")
_MODELS = ("MLFLOW_", "AWS_")
_CHECKPOINTS = ("ROPEWALK_CHECKPOINTS", "AWS_")
_EVERYWHERE = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "TZ")
_BEHIND_A_NETWORK = (
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "AWS_CA_BUNDLE"),
)


@dataclass(frozen=True, kw_only=True)
class Use:
    """What a step of Ropewalk works with."""

    variables: tuple[str, ...] = ()
    """Variables of the caller that are meant for it; one that ends with "_" is the beginning of several."""
    reads: str = ""
    """The parameter that names what it reads: a repository, file or folder."""
    writes: str = ""
    """The parameter, or setting in one, that names a repository or folder to which it writes."""
    tracks: bool = False
    """Whether it writes to MLflow."""
    only_told: bool = False
    """Whether places and addresses in its parameters are nothing but text to it."""


USES = {
    "check-config": Use(only_told=True),
    "resolve-data": Use(variables=_DATA, reads="source"),
    "pull-data": Use(variables=_DATA, reads="source", writes="cache"),
    "train-model": Use(variables=_CHECKPOINTS, writes="checkpoint"),
    "tune-model": Use(variables=_CHECKPOINTS, writes="checkpoint"),
    "fetch-champion": Use(variables=_MODELS, tracks=True),
    "register-model": Use(variables=_MODELS, tracks=True),
    "version-results": Use(variables=(*_DATA, "GIT_AUTHOR_"), reads="repository", writes="repository"),
    "report-run": Use(variables=("ROPEWALK_WEBHOOK_URL",), only_told=True),
}
"""By the step's name; any other step reaches what its parameters and the YAML name."""


@dataclass(kw_only=True)
class Access:
    """What one step may reach."""

    folders: dict[Path, bool] = field(default_factory=dict)
    """Files and folders, at the same path as here, and whether the step may write there."""
    variables: dict[str, str] = field(default_factory=dict)
    """The caller's variables that it gets."""
    network: str = NO_NETWORK
    """NO_NETWORK, DEFAULT_NETWORK, or HOST_NETWORK for a server of this machine."""

    def allow(self, path: Path, *, writable: bool = False) -> None:
        """Let the step see `path`, and write there when that is asked for once.

        Raises:
            ConfigError: A container has a folder of its own there.
        """
        path = path.absolute()
        hidden = [own for own in _IMAGES_OWN if Path(own).is_relative_to(path)]
        if hidden:
            raise ConfigError(
                f"{path} cannot be mounted: it would hide {hidden[0]} of the container. Name a folder further inside."
            )
        self.folders[path] = self.folders.get(path, False) or writable


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What was asked for the whole run."""

    texts: frozenset[str]
    """All texts among the pipeline's parameters: of these, existing files and folders are mounted."""
    mounts: Mapping[Path, bool]
    """Further files and folders, and whether steps may write there."""
    network: str = AUTO
    """AUTO goes by addresses, ON gives every step a network, OFF none."""


def find_access(
    step: str,
    parameters: Mapping[str, Any],
    *,
    asked: Asked,
    set_in_yaml: Mapping[str, str],
    secrets: Collection[str] = (),
) -> Access:
    """Return what the step named `step`, without the name of a loop, may reach.

    Args:
        step: Its name.
        parameters: Its parameters.
        asked: What was asked for the whole run.
        set_in_yaml: Variables with values that the compiled YAML gives it.
        secrets: Variables that the compiled YAML fills from Secrets, here from the environment.

    Raises:
        ConfigError: Something cannot be mounted.
        SourceError, ServiceError: The repository that it works with cannot be read.
    """
    use = USES.get(_COPY.sub("", step), Use())
    access = Access()
    access.variables = _variables({*use.variables, *_EVERYWHERE, *secrets}, set_in_yaml)
    told = [] if use.only_told else list(texts_of(parameters))
    stores = list(_stores(use, parameters))
    written = [*_settings(parameters, use.writes), *(stores if use.reads == use.writes else [])]
    if use.writes == "checkpoint":
        written.append(access.variables.get("ROPEWALK_CHECKPOINTS", ""))
    tracked = _tracked(parameters) if use.tracks else ""
    access.network = _network(
        asked.network, [*told, tracked, *stores, *set_in_yaml.values(), *access.variables.values()]
    )
    if access.network != NO_NETWORK:
        access.variables |= _variables(_BEHIND_A_NETWORK, set_in_yaml)
    for path, writable in asked.mounts.items():
        access.allow(path, writable=writable)
    files = [value for value in access.variables.values() if value.startswith("/")]
    for text in [*(text for text in told if text in asked.texts), *stores, *files]:
        _allow_existing(access, text)
    for text in written:
        # A repository that is not there is a mistake, a cache that is not there is a new one.
        _allow_writing(access, text, create=use.reads != use.writes)
    if tracked.startswith("sqlite:"):
        _allow_store(access, tracked)
    _bring_own_code(access)
    return access


def texts_of(value: Any) -> Iterator[str]:
    """Yield every text in a parameter, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for entry in value.values():
            yield from texts_of(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from texts_of(entry)


def _variables(names: Collection[str], set_in_yaml: Mapping[str, str]) -> dict[str, str]:
    beginnings = tuple(name for name in names if name.endswith("_"))
    return {
        name: value
        for name, value in os.environ.items()
        if (name in names or (beginnings and name.startswith(beginnings)))
        and name not in set_in_yaml
        and name.isidentifier()
    }


def _settings(parameters: Any, name: str) -> list[str]:
    """Return the values of `name` among the parameters, and among the settings in them."""
    if not name or not isinstance(parameters, Mapping):
        return []
    own = [parameters[name]] if isinstance(parameters.get(name), str) else []
    return own + [text for value in parameters.values() for text in _settings(value, name)]


def _stores(use: Use, parameters: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the source or repository of the step leads to: its whole repository, schemas, DVC remotes."""
    source = str(parameters.get(use.reads) or "") if use.reads else ""
    if source:
        from ropewalk.data.reach import reached_from

        yield from reached_from(source, str(parameters.get("path") or ""), str(parameters.get("revision") or ""))


def _tracked(parameters: Mapping[str, Any]) -> str:
    given = parameters.get("mlflow_tracking_uri") or os.environ.get("MLFLOW_TRACKING_URI")
    return str(given or embedded_tracking_uri())


def _network(network: str, texts: Iterable[str]) -> str:
    addresses = [text for text in texts if _ADDRESS.match(text)]
    if network == OFF or (network == AUTO and not addresses):
        return NO_NETWORK
    hosts = [urlsplit(address).hostname or "" for address in addresses if "://" in address]
    return HOST_NETWORK if any(_LOOPBACK.fullmatch(host) for host in hosts) else DEFAULT_NETWORK


def _allow_existing(access: Access, text: str) -> None:
    path = _path(text)
    if path is not None and path.exists():
        access.allow(path)
        # What a link leads to lies elsewhere.
        access.allow(path.resolve())


def _allow_writing(access: Access, text: str, *, create: bool) -> None:
    path = _path(text)
    if path is None:
        return
    if create:
        path.mkdir(parents=True, exist_ok=True)
    if path.exists():
        access.allow(path, writable=True)


def _allow_store(access: Access, uri: str) -> None:
    """Let the step write an embedded MLflow store; in the state folder lie the runs too, and stay as they are."""
    folder = Path(urlsplit(uri).path.removeprefix("/")).absolute().parent
    folder.mkdir(parents=True, exist_ok=True)
    access.allow(folder, writable=True)
    if folder == ropewalk_home():
        access.allow(folder / "runs")


def _bring_own_code(access: Access) -> None:
    """Have Python find modules in those folders of PYTHONPATH that are mounted; the others belong to this machine."""
    folders = [Path(name).absolute() for name in os.environ.get("PYTHONPATH", "").split(os.pathsep) if name]
    mounted = [str(each) for each in folders if any(each.is_relative_to(folder) for folder in access.folders)]
    if mounted:
        access.variables["PYTHONPATH"] = os.pathsep.join(mounted)


def _path(text: str) -> Path | None:
    """Return `text` as a path, None when it cannot be one."""
    text = text.removeprefix("file://")
    fits = 0 < len(text.encode()) < os.pathconf("/", "PC_PATH_MAX") and "\0" not in text
    return Path(text) if fits and "://" not in text and not _ADDRESS.match(text) else None
