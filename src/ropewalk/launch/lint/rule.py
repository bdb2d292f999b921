"""What a rule is: a function that looks at a document and yields findings, and the settings that it may heed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ropewalk.errors import ConfigError
from ropewalk.launch.lint.document import Document, Place
from ropewalk.launch.lint.finding import Finding

KFP_VERSION = (2, 17)
"""The server that is linted for, unless another is named."""


@dataclass(frozen=True, kw_only=True)
class LintConfig:
    """What is linted for."""

    release: bool = False
    """Whether the YAML is to be released: images need digests, and no pod may fetch packages."""
    kfp_version: tuple[int, int] = KFP_VERSION
    """The server's version, major and minor."""


Rule = Callable[[Document, LintConfig], Iterator[Finding]]


def found(document: Document, rule: str, level: str, place: Place, *, message: str, fix: str) -> Finding:
    """Return a finding at `place` of `document`."""
    return Finding(
        rule=rule,
        level=level,
        source=document.source,
        place=".".join(str(part) for part in place),
        line=document.line(place),
        message=message,
        fix=fix,
    )


def parse_version(text: str) -> tuple[int, int]:
    """Return major and minor of a version such as "2.17" or "2.17.3".

    Raises:
        ConfigError: It is none.
    """
    parts = text.removeprefix("v").split(".")
    try:
        return int(parts[0]), int(parts[1])
    except (IndexError, ValueError) as error:
        raise ConfigError(f"kfp-version={text!r}: need major and minor, such as '2.17'.") from error
