"""One change between two compiled pipelines, and how much it matters."""

from collections.abc import Iterable
from dataclasses import dataclass

BREAKING, BEHAVIOUR, COSMETIC = CLASSES = ("breaking", "behaviour", "cosmetic")
"""Who starts the old one cannot start the new one so; it does something else; only texts differ."""
NEXT_VERSION = {BREAKING: "major", BEHAVIOUR: "minor", COSMETIC: "patch"}
"""The part of the version (semver.org) that such a change counts up."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """One change."""

    weight: str
    """"breaking", "behaviour" or "cosmetic"."""
    subject: str
    """What it is about: "parameter epochs", "step train-model"."""
    what: str
    """What happened to it: "added", "image changed"."""
    before: str = ""
    """The old value, shortened; "" when there was none."""
    after: str = ""
    """The new value, shortened; "" when there is none."""
    detail: str = ""
    """A unified diff, where values are long."""


def heaviest(changes: Iterable[Change]) -> str:
    """Return the heaviest weight among `changes`, "" when there are none."""
    weights = {change.weight for change in changes}
    return next((weight for weight in CLASSES if weight in weights), "")
