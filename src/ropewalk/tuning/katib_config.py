"""How experiments run on a cluster with Katib: one cluster's settings, the same for every experiment."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ropewalk.cluster.launch import CLEANUP, ON_SUCCESS
from ropewalk.errors import ConfigError, nearest

FAILED_LOGS, ALL_LOGS, NO_LOGS = RETAIN = ("failed", "all", "none")


@dataclass(frozen=True, kw_only=True)
class KatibConfig:
    """Settings of the cluster engine."""

    namespace: str = ""
    """Where experiments run; "" is the experiment's own, else that of the step's pod or of the kubeconfig context."""
    service_account: str = ""
    """Service account of the trials' pods where their template names none; "" is the namespace's default."""
    image_pull_secrets: tuple[str, ...] = ()
    """Secrets with the registry's credentials, where the trials' template names none."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Labels of experiment, trials and pods, such as a queue's name or a cost centre."""
    cleanup: str = ON_SUCCESS
    """When an experiment that is over is deleted, trials and pods with it: "always", "on_success" or "never"."""
    retain: str = "failed"
    """Of which trials the last lines of the log are kept: "failed", "all" or "none". Except with "none", pods of trials
    that have ended stay until the experiment is deleted: they use nothing but their names."""
    log_lines: int = 20
    """How many lines of a log are kept, from 1."""
    poll_seconds: float = 5.0
    """Between two looks at the experiment, at least, above 0."""
    longest_poll_seconds: float = 30.0
    """Between two looks while nothing changes; a change is seen at once all the same."""
    unreachable_seconds: float = 600.0
    """How long the API server may be away before the step gives up; the experiment goes on meanwhile."""
    collect_seconds: float = 300.0
    """How long Katib may take to store the metrics of a trial whose pod has ended."""
    stuck_seconds: float = 3600.0
    """How long no trial may run while none starts or ends, before the step gives up; queued trials may wait so long."""

    def __post_init__(self) -> None:
        if self.cleanup not in CLEANUP:
            raise ConfigError(
                f"cleanup={self.cleanup!r}: need one of {', '.join(CLEANUP)}.{nearest(self.cleanup, CLEANUP)}"
            )
        if self.retain not in RETAIN:
            raise ConfigError(f"retain={self.retain!r}: need one of {', '.join(RETAIN)}.{nearest(self.retain, RETAIN)}")
        if self.log_lines < 1:
            raise ConfigError(f"log_lines={self.log_lines}: need at least 1.")
        for name in (
            "poll_seconds",
            "longest_poll_seconds",
            "unreachable_seconds",
            "collect_seconds",
            "stuck_seconds",
        ):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name}={getattr(self, name)}: need seconds above 0.")
