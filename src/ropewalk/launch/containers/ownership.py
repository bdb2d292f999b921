"""As whom a container runs, and whose its files are afterwards: never root, always the caller's.

A caller who is not root is the container's user too. For root, the steps run as the image's user 10001 in root's
group: the folders to which a step writes are opened to that group, and what it wrote is given to root afterwards.
"""

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ropewalk.launch.containers.engine import PODMAN, Engine

USER = 10001
"""The user of Ropewalk's images."""
_READ, _WRITE = stat.S_IRGRP, stat.S_IRGRP | stat.S_IWGRP
_RUN_BY_OWNER, _RUN_BY_GROUP = stat.S_IXUSR, stat.S_IXGRP


def user() -> str:
    """Return the container's user and group, by number."""
    return f"{os.getuid()}:{os.getgid()}" if os.getuid() else f"{USER}:0"


def user_namespace(engine: Engine) -> str:
    """Return the engine's setting by which the container's user is the caller."""
    return "keep-id" if engine.kind == PODMAN and engine.rootless else ""


@contextmanager
def lent(*, read: Iterable[Path], written: Iterable[Path], keep: Iterable[Path]) -> Iterator[None]:
    """Have the container's user reach the files below `read` and `written`; with the block all are the caller's.

    Args:
        read: Folders that belong to the run.
        written: Folders to which the step writes.
        keep: Folders in those that stay as they are.
    """
    if os.getuid():
        yield
        return
    written, kept = list(written), set(keep)
    for mode, folders in ((_READ, read), (_WRITE, written)):
        for path in _below(folders, kept):
            _open_to_group(path, mode)
    try:
        yield
    finally:
        for path in _below(written, kept):
            _take_back(path)


def _below(folders: Iterable[Path], kept: set[Path]) -> Iterator[Path]:
    for top in folders:
        yield top
        for folder, names, files in os.walk(top):
            names[:] = [name for name in names if Path(folder, name) not in kept]
            yield from (Path(folder, name) for name in [*names, *files])


def _open_to_group(path: Path, mode: int) -> None:
    try:
        found = path.lstat()
        if stat.S_ISLNK(found.st_mode):
            return
        wanted = found.st_mode | mode | (_RUN_BY_GROUP if found.st_mode & _RUN_BY_OWNER else 0)
        if wanted != found.st_mode:
            path.chmod(stat.S_IMODE(wanted))
    except FileNotFoundError:
        return  # another step of the run has tidied up meanwhile


def _take_back(path: Path) -> None:
    try:
        if path.lstat().st_uid == USER:
            os.chown(path, 0, 0, follow_symlinks=False)
            _open_to_group(path, _READ)
    except FileNotFoundError:
        return
