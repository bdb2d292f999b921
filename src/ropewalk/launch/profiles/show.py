"""What a profile gives each step, as records and as a table: one line for each kind of pod."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ropewalk.launch.profiles.config import Profile
from ropewalk.launch.profiles.handing_on import without_handed_on
from ropewalk.launch.profiles.launched import TRAINING_STEP, TUNING_STEP, launched_settings
from ropewalk.launch.profiles.resolve import Gifts, gifts_for

if TYPE_CHECKING:
    from rich.table import Table

LAUNCHED = {TRAINING_STEP: "TrainJob", TUNING_STEP: "Katib trials"}


@dataclass(frozen=True, kw_only=True)
class Share:
    """What one kind of pod gets."""

    pod: str
    """The step, or the step and what it launches."""
    image: str
    """What it runs in."""
    resources: dict[str, str] = field(default_factory=dict)
    """CPU, memory, GPUs and /dev/shm."""
    placement: list[str] = field(default_factory=list)
    """Node selectors, tolerations and node affinity, in short."""
    environment: list[str] = field(default_factory=list)
    """Names of environment variables, never values; with the Secret where they come from one."""
    mounts: list[str] = field(default_factory=list)
    """Claims and Secrets, and where they are mounted."""
    rest: list[str] = field(default_factory=list)
    """Timeout, retries, caching, security, labels and annotations."""


def shares(profile: Profile, images: Mapping[str, str], handed_on: Mapping[str, set[str]]) -> list[Share]:
    """Return what each step gets, and the pods that steps launch.

    Args:
        profile: The cluster's profile.
        images: Each step's image on that cluster.
        handed_on: By step, what the job that it launches gets instead of its own pod.

    Raises:
        ConfigError: The profile contradicts itself.
    """
    made = []
    for step, image in images.items():
        defaults = without_handed_on(profile.defaults, handed_on.get(step, ()))
        gifts = gifts_for(step, replace(profile, defaults=defaults))
        made.append(_share(gifts, image, profile.images.pull_secrets))
        launched = launched_settings(step, profile, image="")
        pods = launched if step == TRAINING_STEP else launched.get("pods", {})
        if step in LAUNCHED and pods and launched.get("engine") != "local":
            made.append(_launched_share(f"{step} > {LAUNCHED[step]}", pods, image))
    return made


def records(found: list[Share]) -> list[dict[str, Any]]:
    """Return the shares as plain dictionaries."""
    return [asdict(share) for share in found]


def table(found: list[Share]) -> "Table":
    """Return the shares as a table."""
    from rich.table import Table
    from rich.text import Text

    made = Table("pod", "resources", "placement", "environment", "mounts", "the rest", box=None)
    for share in found:
        cells = (
            [f"{name} {amount}" for name, amount in share.resources.items()],
            share.placement,
            share.environment,
            share.mounts,
            share.rest,
        )
        made.add_row(Text(f"{share.pod}\n{share.image.rpartition('/')[2]}"), *(Text("\n".join(cell)) for cell in cells))
    return made


def _share(gifts: Gifts, image: str, pull_secrets: tuple[str, ...]) -> Share:
    config = gifts.config
    amounts = {
        "cpu": _amount(config.cpu, config.cpu_request),
        "memory": _amount(config.memory, config.memory_request),
        gifts.gpu_resource: str(config.gpus or ""),
        "shm": config.shared_memory or "",
    }
    retry, security = config.retry, config.security.manifest() if config.security else {}
    return Share(
        pod=gifts.step,
        image=image,
        resources={name: amount for name, amount in amounts.items() if amount},
        placement=[
            *(f"{key}={value}" for key, value in config.node_selector.items()),
            *(f"tolerates {taint.key or 'everything'}" for taint in config.tolerations or ()),
            *(
                f"{rule.key} {rule.operator} {','.join(rule.values)}{f' (weight {rule.weight})' if rule.weight else ''}"
                for rule in config.node_affinity or ()
            ),
        ],
        environment=[
            *(one.env for one in gifts.variables),
            *(f"{one.env} from {one.secret}/{one.key}" for one in gifts.secrets),
        ],
        mounts=[
            *(f"{one.path} claim {one.claim}" for one in gifts.volumes),
            *(f"{one.path} secret {one.secret}" for one in gifts.secret_files),
        ],
        rest=[
            *(f"pull secret {name}" for name in pull_secrets),
            *([f"timeout {config.timeout_seconds:,} s"] if config.timeout_seconds else []),
            *([f"{retry.count} retries after {retry.backoff_seconds} s"] if retry else []),
            *(["no caching"] if config.caching is False else []),
            *(f"{name} {value}" for name, value in security.items()),
            *(f"{key}={value}" for key, value in {**config.labels, **config.annotations}.items()),
        ],
    )


def _launched_share(pod: str, pods: dict[str, Any], image: str) -> Share:
    gpu = pods.get("gpu_resource") or "nvidia.com/gpu"
    amounts = {"nodes": "nodes", "cpu": "cpu", "memory": "memory", gpu: "gpus", "shm": "shared_memory"}
    return Share(
        pod=pod,
        image=pods.get("image") or image,
        resources={shown: str(pods[name]) for shown, name in amounts.items() if pods.get(name)},
        placement=[
            *(f"{key}={value}" for key, value in pods.get("node_selector", {}).items()),
            *(f"tolerates {taint.get('key', 'everything')}" for taint in pods.get("tolerations", ())),
            *(f"{kind}" for kind in pods.get("affinity", {})),
        ],
        environment=[
            *pods.get("env", {}),
            *(f"{name} from {source}" for name, source in pods.get("secret_env", {}).items()),
        ],
        mounts=[f"{claim['path']} claim {claim['claim']}" for claim in pods.get("claims", ())],
        rest=[
            *(f"pull secret {name}" for name in pods.get("image_pull_secrets", ())),
            *(f"{name} {value}" for name, value in pods.get("security_context", {}).items()),
            *(f"{key}={value}" for key, value in {**pods.get("labels", {}), **pods.get("annotations", {})}.items()),
        ],
    )


def _amount(limit: str | None, request: str | None) -> str:
    return f"{request} to {limit or 'any'}" if request else limit or ""
