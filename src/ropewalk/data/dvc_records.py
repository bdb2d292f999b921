"""DVC's records as they stand in Git: what a .dvc or dvc.lock file says of one path."""

from dataclasses import dataclass
from typing import Any

import yaml


@dataclass(frozen=True, kw_only=True)
class Record:
    """What is recorded of one tracked file or folder."""

    hash: str
    """ "md5:<hex>"; of a folder the hex ends in ".dir"."""
    bytes: int
    files: int


def read_record(text: str, name: str) -> Record | None:
    """Return what the .dvc or dvc.lock file `text` says of its output `name`, or None when it has none.

    Args:
        text: The file; broken YAML has no outputs.
        name: The output's path, relative to the file.
    """
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError:
        return None
    for out in _outs(document):
        if str(out.get("path", "")).removeprefix("./").rstrip("/") == name and out.get("md5"):
            return Record(hash=f"md5:{out['md5']}", bytes=int(out.get("size") or 0), files=int(out.get("nfiles") or 1))
    return None


def _outs(document: Any) -> list[dict[str, Any]]:
    if not isinstance(document, dict):
        return []
    stages = document.get("stages")
    sources = list(stages.values()) if isinstance(stages, dict) else [document]
    return [
        out
        for source in sources
        if isinstance(source, dict)
        for out in source.get("outs") or []
        if isinstance(out, dict)
    ]
