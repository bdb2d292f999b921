"""A profile: what one cluster gives the steps of every pipeline, such as resources, secrets and where it trains.

It is put in at compile time. No component or pipeline knows a cluster: the same source compiles for each, and a
secret's value never enters the YAML.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ropewalk.errors import ConfigError
from ropewalk.launch.connection_config import ConnectionConfig
from ropewalk.launch.profiles.step_config import StepConfig

GIT_STEPS = ("resolve-data", "pull-data", "version-results")
REMOTE_STEPS = ("pull-data", "version-results")
MLFLOW_STEPS = ("fetch-champion", "register-model")
MOST_SECONDS = 2**31 - 1


@dataclass(frozen=True, kw_only=True)
class Variable:
    """An environment variable with a value that anybody may read."""

    env: str
    """The variable, such as ROPEWALK_CHECKPOINTS or AWS_ENDPOINT_URL."""
    value: str
    """Its value; what is secret belongs into `Profile.secrets`."""
    steps: tuple[str, ...] = ()
    """The only steps that get it; empty: all of them."""

    def __post_init__(self) -> None:
        _check_variable(self.env)


@dataclass(frozen=True, kw_only=True)
class SecretVariable:
    """An environment variable that is filled from a Kubernetes Secret."""

    env: str
    """The variable, such as ROPEWALK_GIT_TOKEN or AWS_SECRET_ACCESS_KEY."""
    secret: str
    """The Secret's name, in the namespace of the run."""
    key: str
    """The key in the Secret."""
    steps: tuple[str, ...] = ()
    """The only steps that get it, such as "pull-data"; empty: all of them."""

    def __post_init__(self) -> None:
        _check_variable(self.env)


@dataclass(frozen=True, kw_only=True)
class SecretFiles:
    """A Kubernetes Secret whose keys are files, such as a private SSH key or an own certificate authority."""

    secret: str
    """The Secret's name, in the namespace of the run."""
    path: str
    """The folder that holds them, absolute."""
    steps: tuple[str, ...] = ()
    """The only steps that get it; empty: all of them."""

    def __post_init__(self) -> None:
        _check_path(self.path)


@dataclass(frozen=True, kw_only=True)
class Volume:
    """A PersistentVolumeClaim that is mounted, for instance as the cache of pull_data."""

    claim: str
    """The claim's name, in the namespace of the run; several steps may use it at once."""
    path: str
    """Where it is mounted, absolute."""
    sub_path: str = ""
    """Folder of the claim that is mounted; "" is all of it."""
    steps: tuple[str, ...] = ()
    """The only steps that get it; empty: all of them."""

    def __post_init__(self) -> None:
        _check_path(self.path)


@dataclass(frozen=True, kw_only=True)
class ImagesConfig:
    """Where Ropewalk's own images come from; other images are left as they are."""

    registry: str = ""
    """Registry and folder, such as "registry.example.org/ml"; "": as compiled."""
    tag: str = ""
    """Tag; "": Ropewalk's version."""
    lock: str = ""
    """A lock file with the images' digests, its path relative to the profile; "": images are named by tag."""
    pull_policy: Literal["", "Always", "IfNotPresent", "Never"] = ""
    """When a node fetches an image; "": Kubernetes' default."""
    pull_secrets: tuple[str, ...] = ()
    """Secrets with the registry's credentials."""

    def __post_init__(self) -> None:
        if "://" in self.registry or self.registry.endswith("/"):
            raise ConfigError(f"registry={self.registry!r}: need host and folder, such as 'registry.example.org/ml'.")
        if self.tag == "latest":
            raise ConfigError("tag='latest' is another image tomorrow: name a version, or pin digests by `lock`.")
        if self.tag and self.lock:
            raise ConfigError("tag and lock are both given: the lock pins digests, so leave the tag.")


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """What holds for a run as a whole."""

    pipeline_root: str = ""
    """Where artifacts are stored, such as "s3://bucket/ropewalk"; "": the server's default."""
    deadline_seconds: int | None = None
    """Seconds that a run may take, at least 1; absent: no limit."""
    keep_seconds: int | None = None
    """Seconds after which Argo's record of a run that has ended, and its pods, are deleted; absent: as the server does.
    The run's page and artifacts stay."""
    keep_seconds_after_success: int | None = None
    """The same, for runs that succeeded; comes before `keep_seconds`."""
    keep_seconds_after_failure: int | None = None
    """The same, for runs that failed: longer, so that the pods' logs can be looked at."""

    def __post_init__(self) -> None:
        for name in ("deadline_seconds", "keep_seconds", "keep_seconds_after_success", "keep_seconds_after_failure"):
            value = getattr(self, name)
            if value is not None and not 1 <= value <= MOST_SECONDS:
                raise ConfigError(f"{name}={value}: need 1 to {MOST_SECONDS}.")


@dataclass(frozen=True, kw_only=True)
class MlflowConfig:
    """Where models are recorded, for the steps that do so."""

    tracking_uri: str = ""
    """The server's URL, without user and password; the pipeline's own parameter comes before it."""
    token: str = ""
    """Bearer token: "secret/key"."""
    username: str = ""
    """User's name: "secret/key"."""
    password: str = ""
    """Password: "secret/key"."""
    steps: tuple[str, ...] = MLFLOW_STEPS
    """The steps that get it."""

    def __post_init__(self) -> None:
        if "@" in self.tracking_uri.partition("://")[2].partition("/")[0]:
            raise ConfigError("tracking_uri holds a user or password: name a Secret in `username` and `password`.")
        _check_secrets(self, "token", "username", "password")
        if bool(self.username) != bool(self.password):
            raise ConfigError("username and password belong together: give both, or a token.")


@dataclass(frozen=True, kw_only=True)
class DvcConfig:
    """How data repositories and their DVC remotes are reached."""

    git_token: str = ""
    """Token that reads (and, for push_to, writes) Git repositories over https: "secret/key"."""
    access_key_id: str = ""
    """The S3 remote's key: "secret/key"."""
    secret_access_key: str = ""
    """The S3 remote's secret: "secret/key"."""
    endpoint_url: str = ""
    """The S3 remote's address, where it is not Amazon's."""
    region: str = ""
    """The S3 remote's region."""

    def __post_init__(self) -> None:
        _check_secrets(self, "git_token", "access_key_id", "secret_access_key")
        if bool(self.access_key_id) != bool(self.secret_access_key):
            raise ConfigError("access_key_id and secret_access_key belong together: give both.")


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What a cluster gives the steps."""

    kfp: ConnectionConfig = field(default_factory=ConnectionConfig)
    """How Kubeflow Pipelines' API is reached; nothing of it is written to the YAML."""
    images: ImagesConfig = field(default_factory=ImagesConfig)
    """Where images come from."""
    run: RunConfig = field(default_factory=RunConfig)
    """What holds for a run as a whole."""
    defaults: StepConfig = field(default_factory=StepConfig)
    """What the pod of every step gets."""
    steps: Mapping[str, StepConfig] = field(default_factory=dict)
    """What single steps get, by name, such as "train-model": comes before `defaults`."""
    secrets: tuple[SecretVariable, ...] = ()
    """Environment variables from Secrets."""
    secret_files: tuple[SecretFiles, ...] = ()
    """Secrets as files."""
    variables: tuple[Variable, ...] = ()
    """Environment variables with plain values."""
    volumes: tuple[Volume, ...] = ()
    """Claims to mount."""
    mlflow: MlflowConfig = field(default_factory=MlflowConfig)
    """Where models are recorded."""
    dvc: DvcConfig = field(default_factory=DvcConfig)
    """How data are reached."""
    train_job: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `ropewalk.cluster.trainjob.TrainJobConfig`: train_model trains in such a Kubeflow TrainJob; empty: in
    its own pod."""
    tune: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `ropewalk.tuning.profile.TuneProfile`: where tune_model runs its trials, and in which pods; empty: by
    Katib where the cluster has it, else in its own pod."""


def _check_variable(name: str) -> None:
    if not name.isidentifier():
        raise ConfigError(f"env={name!r}: need the name of an environment variable, such as AWS_ACCESS_KEY_ID.")


def _check_path(path: str) -> None:
    if not path.startswith("/"):
        raise ConfigError(f"path={path!r}: need an absolute path, such as /cache.")


def _check_secrets(config: object, *names: str) -> None:
    for name in names:
        parts = getattr(config, name).split("/")
        if parts != [""] and (len(parts) != 2 or not all(parts)):
            # What stands here by mistake may be the secret itself: it is not repeated.
            raise ConfigError(f"{name}: need the place of a secret, 'secret/key', such as 'dvc-s3/access-key'.")
