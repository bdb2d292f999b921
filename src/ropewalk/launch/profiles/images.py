"""Which registry, tag or digest a profile gives to Ropewalk's own images."""

import re
from collections.abc import Mapping

from ropewalk.errors import ConfigError, nearest
from ropewalk.launch.profiles.config import ImagesConfig

_OWN = re.compile(
    r"(?P<registry>.+)/(?P<name>ropewalk-[a-z0-9-]+)(:(?P<tag>[\w.-]+))?(@(?P<digest>sha256:[0-9a-f]{64}))?"
)


def placed(image: str, images: ImagesConfig, digests: Mapping[str, str]) -> str:
    """Return the reference of `image` on this cluster; one that is not Ropewalk's own stays as it is.

    Args:
        image: Reference as compiled, such as "ghcr.io/ropewalk/ropewalk-steps:0.1.0".
        images: The profile's section.
        digests: Family ("steps") to reference with digest; empty: images are named by tag.

    Raises:
        ConfigError: Digests are given, but none for this image.
    """
    found = _OWN.fullmatch(image)
    if found is None:
        return image
    registry, name = images.registry or found["registry"], found["name"]
    if not digests:
        return f"{registry}/{name}:{images.tag or found['tag']}"
    family = name.removeprefix("ropewalk-")
    if family not in digests:
        raise ConfigError(
            f"The lock {images.lock} has no digest of the image {name}.{nearest(family, digests)} It has: "
            f"{', '.join(sorted(digests)) or 'none'}. Build all images, and lock them again."
        )
    locked, _, digest = digests[family].partition("@")
    there = locked.rpartition("/")[0]
    return f"{images.registry or there}/{name}@{digest}"
