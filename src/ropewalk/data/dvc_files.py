"""Fetches DVC-tracked files for a Git checkout and verifies each against DVC's record, which DVC itself does not."""

import json
import logging
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from dvc.config import Config
from dvc.exceptions import DvcException
from dvc.repo import Repo

from ropewalk.data.sources import Source, open_source
from ropewalk.data.transfer import Transfer, Wanted
from ropewalk.errors import DataError, SourceError

logging.getLogger("dvc").setLevel(logging.ERROR)
_OID = re.compile(r"^[0-9a-f]{32}(\.dir)?$")
_KINDS = ("md5", "md5-dos2unix")


@dataclass(frozen=True, kw_only=True)
class Tracked:
    """A file or folder that DVC tracks."""

    path: PurePosixPath
    """Relative to the Git repository's root."""
    oid: str
    """The recorded hash (hex), with ".dir" behind it for a folder; "" when none is recorded."""
    kind: str
    """ "md5", or "md5-dos2unix" before DVC 3."""
    remote: str
    """The name of the DVC remote that has it; "" is the default one."""
    bytes: int | None
    """Its size as recorded."""


@dataclass(frozen=True, kw_only=True)
class DvcFiles:
    """What DVC tracks in one checked-out repository, and where the bytes are."""

    root: PurePosixPath
    """Relative to the Git repository's root."""
    tracked: list[Tracked]
    config: Any
    """The settings of the DVC repository."""

    def open_source(self, tracked: Tracked, about: PurePosixPath) -> Source:
        """Return where the bytes of `tracked` are; messages tell of `about`.

        Raises:
            SourceError: There is no such remote, or it is of a kind that cannot be read here.
        """
        name = tracked.remote or self.config["core"].get("remote")
        missing = f"DVC tracks {about}, but {_why_missing(self.config, name)}"
        if not name or name not in self.config["remote"]:
            raise SourceError(missing)
        with _dvc_errors(str(about)):
            return open_source(self.config, name, missing)


def read(checkout: Path, root: PurePosixPath, *, origin: Path | None) -> DvcFiles:
    """Return what DVC tracks below the folder `root` of a checkout.

    Args:
        checkout: A Git repository with at least the files that DVC reads (see `git`).
        root: The DVC repository in it.
        origin: The folder on this machine that `root` was cloned from: its remotes may be relative to it.

    Raises:
        SourceError: DVC's own files cannot be read.
        DataError: One of them tracks something outside of the repository.
    """
    with tempfile.TemporaryDirectory(prefix="ropewalk-dvc-") as scratch, _dvc_errors("the data"):
        config = _remotes(origin)
        config["core"] = config.get("core", {}) | {"site_cache_dir": scratch, "analytics": False}
        config["cache"] = {"dir": scratch}
        with Repo(str(checkout / root), config=config) as repo:
            tracked = [_tracked(out, checkout) for out in repo.index.outs if out.use_cache]
            return DvcFiles(root=root, tracked=tracked, config=repo.config)


def list_folder(tracked: Tracked, transfer: Transfer) -> dict[PurePosixPath, str]:
    """Return the recorded hashes (hex) of the files of a tracked folder, by their paths in it.

    Raises:
        SourceError: The remote does not have the list.
        DataError: The list was altered, or leads out of the folder.
    """
    shown = f"the list of files of {tracked.path}"
    listing = transfer.read(Wanted(name="", shown=shown, oid=tracked.oid, kind=tracked.kind))
    try:
        entries = {PurePosixPath(entry["relpath"]): (entry["relpath"], entry["md5"]) for entry in json.loads(listing)}
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(
            f"DVC's list of the files of {tracked.path} cannot be read ({error!r}). Do not use it."
        ) from error
    for path, (written, oid) in entries.items():
        if path.is_absolute() or ".." in path.parts or path.as_posix() != written or not path.parts or "\0" in written:
            raise DataError(f"DVC's list of the files of {tracked.path} leads out of it: {written!r}. Do not use it.")
        check_oid(oid, f"{tracked.path}/{path}")
    both = {parent for path in entries for parent in path.parents} & entries.keys()
    if both:
        raise DataError(
            f"DVC's list of the files of {tracked.path} has {both.pop()} as file and folder. Do not use it."
        )
    return {path: oid for path, (_, oid) in entries.items()}


def check_oid(oid: str, name: str) -> None:
    """Refuse a recorded hash that is none: it would be taken for a part of a path.

    Raises:
        SourceError: There is no record.
        DataError: It is not an MD5.
    """
    if not oid:
        raise SourceError(
            f"{name}: DVC's record has no MD5, so the bytes cannot be proven. Track it with `dvc add`, or run "
            "`dvc commit` and commit dvc.lock."
        )
    if not _OID.match(oid):
        raise DataError(f"{name}: DVC's record has {oid!r}, which is not an MD5. Track it again with `dvc add`.")


def _tracked(out: Any, checkout: Path) -> Tracked:
    record = Path(out.stage.path_in_repo).as_posix()
    if out.protocol != "local" or not Path(out.fs_path).is_relative_to(out.repo.root_dir):
        raise DataError(
            f"{record} tracks {out.def_path!r}, which is outside of the repository. Track a file inside of it instead."
        )
    info = out.hash_info
    oid = str(info.value) if info and info.name in _KINDS else ""
    return Tracked(
        path=PurePosixPath(Path(out.fs_path).relative_to(checkout).as_posix()),
        oid=oid,
        kind=info.name if oid else "md5",
        remote=out.remote or "",
        bytes=out.meta.size,
    )


@contextmanager
def _dvc_errors(path: str) -> Iterator[None]:
    """Tell what goes wrong in DVC of `path`."""
    try:
        yield
    except ImportError as error:
        raise SourceError(f"The DVC remote of {path} cannot be read here: {error}.") from error
    except DvcException as error:
        raise SourceError(f"DVC cannot read {path}: {error}. Check the repository's DVC configuration.") from error


def _why_missing(config: Any, name: str | None) -> str:
    if not name:
        return "the repository has no default remote. Set one with `dvc remote add --default`, then `dvc push`."
    if name not in config["remote"]:
        return f"the repository has no remote {name!r}. Add it with `dvc remote add`, then `dvc push`."
    url = str(config["remote"][name].get("url", ""))
    if "://" not in url and not Path(url).exists():
        return f"its remote {name!r} is the folder {url}, which this machine does not have. Use one that it can reach."
    return f"its remote {name!r} does not have the bytes or cannot be reached. Run `dvc push` where they are."


def _remotes(origin: Path | None) -> dict[str, Any]:
    """Return the remotes as `origin` sees them; without a default one, its cache serves."""
    if origin is None or not (origin / ".dvc").is_dir():
        return {}
    config = Config(str(origin / ".dvc"))
    remotes = {name: dict(settings) for name, settings in config["remote"].items()}
    if config["core"].get("remote"):
        return {"remote": remotes}
    cache = config["cache"].get("dir") or str(origin / ".dvc" / "cache")
    return {"remote": remotes | {"cache": {"url": cache}}, "core": {"remote": "cache"}}
