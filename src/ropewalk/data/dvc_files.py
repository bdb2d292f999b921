"""Fetches DVC-tracked files for a Git checkout and verifies each against DVC's record, which DVC itself does not."""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dvc.api import DVCFileSystem
from dvc.config import Config
from dvc.exceptions import DvcException
from dvc_data.hashfile.hash import file_md5
from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.tree import Tree
from dvc_data.index import DataIndexDirError

from ropewalk.errors import DataError, SourceError, nearest

logging.getLogger("dvc").setLevel(logging.ERROR)
_HASHES = ("md5", "md5-dos2unix")


def tracked_by_dvc(root: Path) -> list[str]:
    """Return the paths (relative to `root`) of the files and folders that DVC tracks there."""
    with _open(root, "the data", None) as files:
        return sorted(Path(out.fs_path).relative_to(root).as_posix() for out in files.repo.index.outs)


def fetch(root: Path, path: str, *, origin: Path | None, destination: Path) -> str:
    """Put `path` into the new folder `destination`, every byte checked, and return DVC's hash of it: "md5:<hex>".

    A file comes under its own name, a folder as what it contains. The hash is "" for a folder that DVC does not
    track as one piece.

    Args:
        root: A DVC repository, checked out.
        path: A file or folder in it that DVC tracks, or a folder with such files.
        origin: The folder on this machine that `root` was cloned from: its remotes may be relative to it.
        destination: The folder to make.

    Raises:
        SourceError: DVC does not track the path, or its remote does not have the bytes.
        DataError: The remote has other bytes than those that were recorded.
    """
    with _open(root, path, origin) as files:
        _check_listings(files, root, path)
        info = _info(files, path)
        if info["type"] == "directory":
            records = files.find(f"/{path}", detail=True)
            files.get(f"/{path}", str(destination), recursive=True)
            for name, record in records.items():
                _verify(record, destination / name.removeprefix(f"/{path}/"), name)
        else:
            file = destination / Path(path).name
            files.get_file(f"/{path}", str(file))
            _verify(info, file, path)
        return next((f"md5:{info[name]}" for name in _HASHES if name in info), "")


def _info(files: DVCFileSystem, path: str) -> dict[str, Any]:
    try:
        return dict(files.info(f"/{path}"))
    except FileNotFoundError as error:
        tracked = [name.lstrip("/") for name in files.find("/")]
        raise SourceError(f"{path} is not tracked by Git or DVC.{nearest(path, tracked)}") from error


def _check_listings(files: DVCFileSystem, root: Path, path: str) -> None:
    """Check the list of files of each tracked folder that contains `path` or lies in it, before it is followed."""
    for out in files.repo.index.outs:
        folder = Path(out.fs_path).relative_to(root)
        related = folder.is_relative_to(path) or Path(path).is_relative_to(folder)
        if out.hash_info.isdir and related:
            _check_listing(files, folder, out.hash_info.value)


def _check_listing(files: DVCFileSystem, folder: Path, recorded: str) -> None:
    tree = Tree()  # type: ignore[no-untyped-call]
    for key, entry in files.repo.index.data["repo"].iteritems(folder.parts):
        inside = key[len(folder.parts) :]
        if any(part in {"", ".", ".."} or "/" in part for part in inside):
            raise DataError(f"DVC's list of the files of {folder} leads out of it: {'/'.join(inside)}. Do not use it.")
        if inside and entry.hash_info:
            tree.add(inside, None, HashInfo(entry.hash_info.name, entry.hash_info.value))
    tree.digest()
    if tree.hash_info.value != recorded:
        raise DataError(_altered(f"the list of files of {folder}", tree.hash_info.value, recorded))


def _verify(record: dict[str, Any], file: Path, name: str) -> None:
    if "fs_info" in record:
        return  # tracked by Git, which checks its own objects
    kind = next((hash_name for hash_name in _HASHES if record.get(hash_name)), None)
    if kind is None:
        raise SourceError(f"{name}: DVC's record has no MD5, so the bytes cannot be proven. Track it with `dvc add`.")
    found = file_md5(str(file), name=kind)
    if found != record[kind]:
        raise DataError(_altered(name.lstrip("/"), found, record[kind]))


def _altered(what: str, found: str | None, recorded: str) -> str:
    return (
        f"The DVC remote has other bytes for {what} than were recorded: its MD5 is {found}, the record says "
        f"{recorded}. Push it again from a copy that `dvc status` finds unchanged."
    )


@contextmanager
def _open(root: Path, path: str, origin: Path | None) -> Iterator[DVCFileSystem]:
    """Yield the files of `root`; what goes wrong with them is told of `path`."""
    with tempfile.TemporaryDirectory(prefix="ropewalk-dvc-") as scratch:
        config = _remotes(origin)
        config["core"] = config.get("core", {}) | {"site_cache_dir": scratch, "analytics": False}
        config["cache"] = {"dir": scratch, "type": "copy"}
        files = DVCFileSystem(str(root), config=config)
        try:
            yield files
        except (FileNotFoundError, DataIndexDirError) as error:
            raise SourceError(f"DVC tracks {path}, but {_why_missing(files.repo.config)}") from error
        except ImportError as error:
            raise SourceError(f"The DVC remote of {path} cannot be read here: {error}.") from error
        except DvcException as error:
            raise SourceError(f"DVC cannot read {path}: {error}. Check the repository's DVC configuration.") from error
        finally:
            files.close()


def _why_missing(config: Any) -> str:
    name = config["core"].get("remote")
    if not name:
        return "the repository has no default remote. Set one with `dvc remote add --default`, then `dvc push`."
    url = str(config["remote"].get(name, {}).get("url", ""))
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
