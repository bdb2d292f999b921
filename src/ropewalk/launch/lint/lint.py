"""All rules over one text."""

from ropewalk.errors import ConfigError, nearest
from ropewalk.launch.lint.arguments import check_arguments
from ropewalk.launch.lint.document import Document
from ropewalk.launch.lint.finding import LEVELS, Finding
from ropewalk.launch.lint.images import check_images
from ropewalk.launch.lint.local import check_local
from ropewalk.launch.lint.loops import check_loops
from ropewalk.launch.lint.pip import check_pip
from ropewalk.launch.lint.placeholders import check_placeholders
from ropewalk.launch.lint.resources import check_gpus, check_limits, check_shared_memory
from ropewalk.launch.lint.rule import LintConfig, Rule
from ropewalk.launch.lint.secrets import check_secret_parameters, check_secret_values
from ropewalk.launch.lint.selectors import check_selectors
from ropewalk.launch.lint.size import check_size
from ropewalk.launch.lint.versions import check_not_carried, check_versions

RULES: tuple[Rule, ...] = (
    check_size,
    check_arguments,
    check_placeholders,
    check_versions,
    check_not_carried,
    check_images,
    check_limits,
    check_gpus,
    check_shared_memory,
    check_secret_parameters,
    check_secret_values,
    check_pip,
    check_selectors,
    check_loops,
    check_local,
)
NAMES = (
    "size",
    "argument-size",
    "placeholder-argo",
    "placeholder-in-env",
    "placeholder-inside-text",
    "placeholder-unknown",
    "needs-kfp",
    "not-carried",
    "image-latest",
    "image-digest",
    "limit-memory",
    "limit-cpu",
    "gpu-incomplete",
    "gpu-shm",
    "shm-memory",
    "secret-parameter",
    "secret-value",
    "secret-variable",
    "pip-at-start",
    "oneof-artifact",
    "loop-outer-value",
    "loop-named-output",
    "local-python3",
    "local-placeholder",
)
"""What findings are called, and what can be left out by name."""


def lint_text(text: str, *, source: str, config: LintConfig = LintConfig()) -> list[Finding]:
    """Return what is wrong with the compiled YAML `text`, read from `source`: errors first, then by line.

    Raises:
        ConfigError: It is not a compiled KFP pipeline or component.
    """
    document = Document(text, source=source)
    findings = [finding for rule in RULES for finding in rule(document, config)]
    return sorted(findings, key=lambda finding: (LEVELS.index(finding.level), finding.line, finding.rule))


def check_names(names: tuple[str, ...]) -> None:
    """Refuse a name that no finding has.

    Raises:
        ConfigError: It is none.
    """
    for name in names:
        if name not in NAMES:
            raise ConfigError(f"There is no rule {name!r}.{nearest(name, NAMES)} Known: {', '.join(NAMES)}.")
