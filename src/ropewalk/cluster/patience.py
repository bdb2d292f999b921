"""How long to wait for what."""

from dataclasses import dataclass

LONGEST_PAUSE = 30.0
"""Between two tries of a request, in seconds."""


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long to wait for what, in seconds, each above 0."""

    shortest_poll: float = 1.0
    """Between two looks at a resource, at least."""
    longest_poll: float = 10.0
    """Between two looks at a resource, at most; a change is seen at once all the same."""
    first_retry: float = 0.5
    """Pause after the first failed request; doubles up to 30 s, each shortened by chance by up to a half."""
    unreachable: float = 600.0
    """How long the API server may be away before we give up; what runs on the cluster goes on meanwhile."""
    notice: float = 20.0
    """How long a pod may be held up before a line says so."""
    blocked: float = 180.0
    """How long an image that cannot be pulled, or a missing secret, is waited for."""
    deletion: float = 300.0
    """How long a deleted resource may take to be gone."""
    log_end: float = 15.0
    """How long to wait for the end of a log once all has ended."""
