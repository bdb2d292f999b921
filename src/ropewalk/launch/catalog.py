"""What there is to compile and run: the names in `__all__` of ropewalk.pipelines and ropewalk.components."""

import importlib
import os
import tempfile
from pathlib import Path
from typing import Any

# KFP reads this once, when it is first imported; pinned, so that the same pipeline compiles to the same bytes.
os.environ["KFP_DISABLE_EXECUTION_CACHING_BY_DEFAULT"] = "false"

from kfp import compiler

from ropewalk.errors import ConfigError, nearest


def pipelines() -> dict[str, Any]:
    """Return every pipeline by name, in the order of `ropewalk.pipelines.__all__`."""
    return _exported("ropewalk.pipelines")


def components() -> dict[str, Any]:
    """Return every component by name, in the order of `ropewalk.components.__all__`."""
    return _exported("ropewalk.components")


def pipeline(name: str) -> Any:
    """Return one pipeline.

    Raises:
        ConfigError: There is none of that name.
    """
    known = pipelines()
    if name not in known:
        raise ConfigError(
            f"There is no pipeline {name!r}.{nearest(name, known)} Known: {', '.join(known) or 'none'}. "
            "Or give the path of a compiled pipeline, a .yaml file."
        )
    return known[name]


def to_yaml(component: Any) -> str:
    """Return a pipeline or component compiled to KFP's YAML: the same bytes for the same source."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "compiled.yaml"
        compiler.Compiler().compile(component, str(file))
        return file.read_text(encoding="utf-8")


def _exported(package: str) -> dict[str, Any]:
    module = importlib.import_module(package)
    return {name: getattr(module, name) for name in getattr(module, "__all__", [])}
