"""Lint of files and folders."""

from collections.abc import Sequence
from pathlib import Path

from ropewalk.errors import ConfigError
from ropewalk.launch.lint.finding import Finding
from ropewalk.launch.lint.lint import check_names, lint_text
from ropewalk.launch.lint.rule import LintConfig


def lint_files(paths: Sequence[Path], *, config: LintConfig, ignore: tuple[str, ...] = ()) -> tuple[int, list[Finding]]:
    """Return how many files were read, and what is wrong with them, file by file.

    Args:
        paths: Files, and folders that stand for all YAML in them.
        config: What is linted for.
        ignore: Rules whose findings are left out.

    Raises:
        ConfigError: A file cannot be read or is no compiled pipeline, a folder has none, or a rule is unknown.
    """
    check_names(ignore)
    files = [file for path in paths for file in _files(path)]
    findings = [finding for file in files for finding in lint_text(read_text(file), source=str(file), config=config)]
    return len(files), [finding for finding in findings if finding.rule not in ignore]


def read_text(file: Path) -> str:
    """Return the text of `file`.

    Raises:
        ConfigError: It cannot be read.
    """
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{file} cannot be read ({error}). Give a pipeline that `python compile.py` wrote."
        ) from error


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(path.rglob("*.yaml"))
    if not files:
        raise ConfigError(f"The folder {path} holds no .yaml file. Compile first: `python compile.py`.")
    return files
