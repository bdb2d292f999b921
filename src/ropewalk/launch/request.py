"""What a person asked to run: a pipeline by name or file, as compiled YAML and its description."""

from dataclasses import dataclass
from pathlib import Path

from ropewalk.errors import ConfigError
from ropewalk.launch.specification import Specification, read_specification

_SUFFIXES = {".yaml", ".yml"}


@dataclass(frozen=True, kw_only=True)
class Request:
    """A compiled pipeline that can be run."""

    text: str
    """The YAML."""
    specification: Specification


def open_request(name_or_file: str) -> Request:
    """Return the pipeline named `name_or_file`, compiled now, or the compiled one in that .yaml file.

    Raises:
        ConfigError: There is no such pipeline, or the file is not one.
    """
    if Path(name_or_file).suffix in _SUFFIXES:
        text = _read(Path(name_or_file))
    else:
        from ropewalk.launch import catalog

        text = catalog.to_yaml(catalog.pipeline(name_or_file))
    return Request(text=text, specification=read_specification(text, source=name_or_file))


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"Cannot read the pipeline {str(file)!r}: {error}. Give a compiled .yaml file, or a pipeline's name."
        ) from error
