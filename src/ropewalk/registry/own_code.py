"""The user's own code, which a registered model carries: what builds its network and what its rows go through."""

import ast
import importlib.machinery
import shutil
import sys
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path

from ropewalk.progress import say

_INSTALLED = {"site-packages", "dist-packages"}
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", ".*")


def carry_own_code(references: Sequence[str], folder: Path) -> list[str]:
    """Copy into `folder` the modules that the model calls, with those of the user's that they import.

    A module in a package is copied with the whole package. What cannot be copied, since Python has no source of it, is
    named in a warning: whoever loads the model must install it.

    Args:
        references: What the model calls, each as "module:function"; all are importable here.
        folder: Where to copy to.

    Returns:
        Distributions, installed here, that the copied modules import.
    """
    if not references:
        # Which distribution gives which module takes half a second to find out.
        return []
    waiting = list(dict.fromkeys(reference.partition(":")[0].partition(".")[0] for reference in references))
    seen = {"ropewalk", *sys.stdlib_module_names, *waiting}
    providers = metadata.packages_distributions()
    needed: list[str] = []
    while waiting:
        source = _source(waiting[0])
        if source is None:
            say(
                f"warning: the model calls the module {waiting[0]!r}, of which there is no Python source to store with "
                "it: install it wherever the model is loaded."
            )
        elif source.is_dir():
            shutil.copytree(source, folder / source.name, ignore=_LEFT_OUT)
        else:
            shutil.copy2(source, folder)
        waiting.pop(0)
        for name in _imported(source):
            if name in seen:
                continue
            seen.add(name)
            found = _source(name)
            if name in providers and (found is None or _INSTALLED & set(found.parts)):
                needed.append(providers[name][0])
            elif found is not None:
                waiting.append(name)
    return needed


def _source(name: str) -> Path | None:
    """Return the file or folder of a top-level module; None where Python finds none with source."""
    module = sys.modules.get(name)
    spec = module.__spec__ if module is not None else _found(name)
    if spec is None:
        return None
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations)))
    file = Path(spec.origin) if spec.origin else None
    return file if file is not None and file.suffix == ".py" else None


def _found(name: str) -> importlib.machinery.ModuleSpec | None:
    # As preprocessing does, the working folder is looked in too.
    return importlib.machinery.PathFinder.find_spec(name, [*sys.path, str(Path.cwd())])


def _imported(source: Path | None) -> Iterator[str]:
    """Yield the top-level modules that a module's files import."""
    if source is None:
        return
    for file in sorted(source.rglob("*.py")) if source.is_dir() else [source]:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                yield node.module.partition(".")[0]
