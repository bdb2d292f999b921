"""One finding: what is wrong, where, and what to do."""

from dataclasses import dataclass

ERROR, WARNING, NOTE = LEVELS = ("error", "warning", "note")
"""It fails or does something else than is meant; it may; it is worth knowing."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One finding of one rule."""

    rule: str
    """The rule's name: "image-latest"."""
    level: str
    """"error", "warning" or "note"."""
    source: str
    """The file."""
    place: str
    """Where in the YAML, with dots: "deploymentSpec.executors.exec-train-model"."""
    line: int
    """The place's line, from 1."""
    message: str
    """What is wrong and what was found; never a value that may be secret."""
    fix: str
    """What to do."""
