"""The name of a pipeline's version: which release it is of, and which commit or content it was made from."""

import hashlib
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ropewalk import __version__
from ropewalk.errors import ConfigError

_SHA = 12
_LONGEST = 63
_IMAGE = re.compile(r"(?:^|/)ropewalk-[a-z]+:(\d[\w.]*)")


@dataclass(frozen=True, kw_only=True)
class VersionName:
    """A version's name, and where its content comes from."""

    name: str
    """<release>-<commit>, <release>-<commit>-dirty-<digest>, or <release>-<digest> outside of Git."""
    commit: str = ""
    """The commit, 40 hex digits; "" outside of Git."""
    source: str = ""
    """The repository's https URL, without user and password; "" when it has none."""


def name_version(text: str, folder: Path, *, images: list[str], release: str, allow_dirty: bool) -> VersionName:
    """Return the name for the compiled YAML `text`.

    Args:
        text: The YAML.
        folder: Where it lies: its repository's commit is taken.
        images: The images of its steps.
        release: The release to name it for; "" is Ropewalk's.
        allow_dirty: Whether it may be named for a commit although files have changed since.

    Raises:
        ConfigError: Files have changed since the commit, or the YAML was compiled by another Ropewalk.
    """
    release = release or _own_release(images)
    digest = hashlib.sha256(text.encode()).hexdigest()
    commit = _git(folder, "rev-parse", "HEAD")
    if not commit:
        return _checked(VersionName(name=f"{release}-{digest[:_SHA]}"))
    source = _https(_git(folder, "remote", "get-url", "origin"))
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no").splitlines()
    if changed and not allow_dirty:
        raise ConfigError(
            f"The version would be named for commit {commit[:_SHA]}, but files have changed since: "
            f"{', '.join(line[3:] for line in changed[:5])}{' ...' if len(changed) > 5 else ''}. Commit them and "
            "compile again; or add --allow-dirty, which puts the content's digest into the name, or --version NAME."
        )
    dirty = f"-dirty-{digest[:8]}" if changed else ""
    return _checked(VersionName(name=f"{release}-{commit[:_SHA]}{dirty}", commit=commit, source=source))


def check_version_name(name: str) -> str:
    """Return `name`, a version's.

    Raises:
        ConfigError: It is not one that every installation of KFP takes.
    """
    if not re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", name) or len(name) > _LONGEST:
        raise ConfigError(
            f"{name!r} cannot name a version: need at most {_LONGEST} lower-case letters, digits, '.' and '-', such as "
            "'1.4.0-rc1'."
        )
    return name


def releases(images: list[str]) -> set[str]:
    """Return the releases of Ropewalk that the images are of; other images, and digests, tell none."""
    return {match[1] for image in images if (match := _IMAGE.search(image))}


def _own_release(images: list[str]) -> str:
    others = releases(images) - {__version__}
    if others:
        raise ConfigError(
            f"This YAML was compiled by Ropewalk {', '.join(sorted(others))}, and this is {__version__}: its version "
            "would be named for the wrong release. Compile it again, or say which release it is: --release "
            f"{min(others)}."
        )
    return __version__


def _checked(named: VersionName) -> VersionName:
    check_version_name(named.name)
    return named


def _git(folder: Path, *arguments: str) -> str:
    """Return what git says, "" when there is no repository, no such thing in it, or no git."""
    try:
        ended = subprocess.run(["git", "-C", folder, *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return ended.stdout.rstrip("\n") if ended.returncode == 0 else ""


def _https(remote: str) -> str:
    match = re.fullmatch(r"(?:ssh://)?git@([\w.-]+)[:/](.+)", remote)
    if match:
        return f"https://{match[1]}/{match[2]}"
    parts = urlsplit(remote)
    return f"https://{parts.hostname}{parts.path}" if parts.scheme == "https" else ""
