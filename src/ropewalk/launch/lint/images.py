"""Rules `image-*`: an image whose name can mean other bytes tomorrow makes runs differ, and cached results wrong."""

import re
from collections.abc import Iterator

from ropewalk.launch.lint.document import Document
from ropewalk.launch.lint.finding import ERROR, Finding
from ropewalk.launch.lint.rule import LintConfig, found

_DIGEST = re.compile(r".+@sha256:[0-9a-f]{64}")


def check_images(document: Document, config: LintConfig) -> Iterator[Finding]:
    """Yield a finding for each image without a version, and for a release for each without a digest."""
    steps: dict[str, list[str]] = {}
    for container in document.containers:
        steps.setdefault(container.spec["image"], []).append(container.step)
    for container in document.containers:
        image = container.spec["image"]
        if image not in steps or image.startswith("{{$"):
            continue
        users, place = ", ".join(steps.pop(image)), (*container.place, "image")
        tag = image.rpartition("/")[2].partition(":")[2]
        if _DIGEST.fullmatch(image):
            continue
        if tag in ("", "latest"):
            yield found(
                document,
                "image-latest",
                ERROR,
                place,
                message=f"{users}: the image {image!r} has {'no tag' if not tag else 'the tag latest'}: it is another "
                "one tomorrow, and KFP reuses cached results by the name.",
                fix="Name a version, or a digest (images.lock in a profile).",
            )
        elif config.release:
            yield found(
                document,
                "image-digest",
                ERROR,
                place,
                message=f"{users}: the image {image!r} is named by a tag, which can be moved.",
                fix="Compile with a profile whose images.lock names digests.",
            )
