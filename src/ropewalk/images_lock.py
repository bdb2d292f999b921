"""The lock of images: by which digest each family's image is named, so that a tag that moves changes nothing."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ropewalk.artifacts import disk_errors
from ropewalk.errors import ConfigError

IMAGES_LOCK = "images.lock"
_HEADER = "# The images of one build; made by `make images`. A profile that names this file pins their digests.\n"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_AGAIN = "Make it again with `make images`."


def read_images_lock(file: Path) -> dict[str, str]:
    """Return family ("train") to reference ("ghcr.io/ropewalk/ropewalk-train:0.1.0-1a2b3c@sha256:...").

    Raises:
        ConfigError: It cannot be read, or an entry has no image or digest.
    """
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"The images' lock {file} cannot be read ({error}). {_AGAIN}") from error
    entries = content.get("images") if isinstance(content, dict) else None
    if not isinstance(entries, dict) or not entries:
        raise ConfigError(f"The images' lock {file} names no images. {_AGAIN}")
    return {str(family): _reference(file, str(family), entry) for family, entry in entries.items()}


def write_images_lock(file: Path, *, version: str, revision: str, images: Mapping[str, tuple[str, str]]) -> None:
    """Write the lock, whole or not at all.

    Args:
        file: Where.
        version: Of the package.
        revision: Commit of the sources.
        images: Family to (registry, name and tag; digest).

    Raises:
        StorageError: The disk is full or read-only.
    """
    content: dict[str, Any] = {
        "version": version,
        "revision": revision,
        "images": {family: {"image": image, "digest": digest} for family, (image, digest) in images.items()},
    }
    draft = file.with_name(f".{file.name}.partial")
    with disk_errors(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(_HEADER + yaml.safe_dump(content, sort_keys=False, width=200), encoding="utf-8")
        draft.replace(file)


def _reference(file: Path, family: str, entry: Any) -> str:
    image, digest = (str(entry.get(name, "")) if isinstance(entry, dict) else "" for name in ("image", "digest"))
    if not image or not _DIGEST.fullmatch(digest):
        raise ConfigError(
            f"The images' lock {file}: {family!r} needs `image` and `digest`, sha256: and 64 hex digits; found "
            f"{entry!r}. {_AGAIN}"
        )
    return f"{image}@{digest}"
