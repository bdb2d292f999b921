"""The lock of images: by which digest each family's image is named, so that a tag that moves changes nothing."""

import re
from pathlib import Path

import yaml

from ropewalk.errors import ConfigError

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def read_images_lock(file: Path) -> dict[str, str]:
    """Return family ("steps") to reference ("ghcr.io/ropewalk/ropewalk-steps@sha256:...").

    Raises:
        ConfigError: It cannot be read, or an entry has no image or digest.
    """
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"The images' lock {file} cannot be read ({error}). Lock the images again.") from error
    entries = content.get("images") if isinstance(content, dict) else None
    if not isinstance(entries, dict) or not entries:
        raise ConfigError(f"The images' lock {file} names no images. Lock the images again.")
    made = {}
    for family, entry in entries.items():
        image, digest = (
            (str(entry.get(name, "")) for name in ("image", "digest")) if isinstance(entry, dict) else ("", "")
        )
        if not image or not _DIGEST.fullmatch(digest):
            raise ConfigError(
                f"The images' lock {file}: {family} needs `image` and `digest`, sha256: and 64 hex digits."
            )
        made[str(family)] = f"{image}@{digest}"
    return made
