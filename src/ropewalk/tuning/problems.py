"""What is wrong with an experiment: all of it at once, each with its place."""

from collections.abc import Sequence
from dataclasses import dataclass

from ropewalk.errors import ConfigError


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong."""

    path: str
    """Where, like parameters[0].min."""
    text: str
    """What was found and what to do."""

    def __str__(self) -> str:
        return f"{self.path}: {self.text}"


def refuse(problems: Sequence[Problem], *, what: str) -> None:
    """Raise a ConfigError that lists all problems, if there are any."""
    if problems:
        lines = "\n  - ".join(str(problem) for problem in problems)
        raise ConfigError(f"{what} is wrong:\n  - {lines}")


def without_repeats(first: Sequence[Problem], then: Sequence[Problem]) -> list[Problem]:
    """Return `first` and those of `then` whose place, or one around it, `first` has not named."""
    named = [problem.path for problem in first]
    return [*first, *(problem for problem in then if not any(_within(problem.path, path) for path in named))]


def _within(path: str, other: str) -> bool:
    return path == other or path.startswith((f"{other}.", f"{other}["))
