"""DVC for publishing: has it track a file or folder in a checkout, and sends the bytes to the default remote."""

import errno
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from dvc.config import Config
from dvc.config_schema import RelPath
from dvc.exceptions import DvcException, UploadError
from dvc.repo import Repo

from ropewalk.data.credentials import is_refusal, no_access, use_ssh_key
from ropewalk.data.dvc_records import Record, read_record
from ropewalk.errors import DataError, ServiceError, SourceError, StorageError

logging.getLogger("dvc").setLevel(logging.ERROR)
_INITIALISE = "In a clone of it run `dvc init` and `dvc remote add --default NAME URL`, commit, push, and try again."


@dataclass(frozen=True, kw_only=True)
class Place:
    """A path in a checkout that DVC is to track."""

    root: Path
    """The DVC repository in the checkout: the checkout itself, or a folder in it."""
    path: str
    """The path, relative to `root`."""
    origin: Path | None
    """The folder on this machine that `root` was cloned from: its remotes may be relative to it."""

    @property
    def file(self) -> Path:
        """Where the data lie."""
        return self.root / self.path

    @property
    def record(self) -> Path:
        """DVC's file beside the data."""
        return self.file.with_name(f"{self.file.name}.dvc")

    @property
    def ignored(self) -> Path:
        """The list of what Git does not track there."""
        return self.file.with_name(".gitignore")


def find_place(checkout: Path, path: PurePosixPath, *, origin: Path | None, repository: str) -> Place:
    """Return `path` as a part of the DVC repository that it belongs to.

    Raises:
        SourceError: There is no DVC repository.
    """
    root = next((folder for folder in path.parents if (checkout / folder / ".dvc" / "config").is_file()), None)
    if root is None:
        raise SourceError(f"{repository} is not a DVC repository: it has no .dvc/config. {_INITIALISE}")
    beside = origin / root if origin and (origin / root / ".dvc").is_dir() else None
    return Place(root=checkout / root, path=path.relative_to(root).as_posix(), origin=beside)


def track(place: Place, *, cache: Path, files: int, size: int) -> Record:
    """Have DVC track what lies at `place` and send it to the default remote; return the record.

    Args:
        place: The data, as a file or folder in the checkout.
        cache: A folder for DVC's copies; what is there already is not hashed or copied again.
        files: How many files the data have.
        size: How many bytes they have together.

    Raises:
        SourceError: There is no remote that could take the bytes, or DVC does not track this path.
        DataError: The repository's .dvcignore leaves some of the files out.
        ServiceError: The remote did not take all bytes; trying again may help.
        StorageError: The remote's disk is full.
    """
    settings = _remotes(place)
    _check_remote(settings, place)
    settings["core"] |= {"site_cache_dir": str(cache / "site"), "analytics": False, "autostage": False}
    settings["cache"] = {"dir": str(cache / "files"), "type": ["reflink", "hardlink", "copy"]}
    with _explained(place.path, settings), Repo(str(place.root), config=settings) as repo:
        _check_free(repo, place)
        repo.add([str(place.file)])
        record = read_record(place.record.read_text(encoding="utf-8"), place.file.name)
        if record is None or (record.files, record.bytes) != (files, size):
            raise DataError(
                f"DVC would track {record.files if record else 0:,} of the {files:,} files of {place.path}: the "
                "repository's .dvcignore leaves the others out. Correct it, or choose another path."
            )
        repo.push([str(place.file)])
    return record


def _check_free(repo: Repo, place: Place) -> None:
    for out in repo.index.outs:
        tracked = Path(out.fs_path)
        if tracked in place.file.parents:
            raise SourceError(
                f"{place.path} lies in {tracked.relative_to(place.root)}, which DVC tracks as one piece. Push that "
                "folder as a whole, or choose a path beside it."
            )


def _remotes(place: Place) -> dict[str, Any]:
    """Return the remotes as the origin sees them, where there is one, and the name of the default one."""
    config = Config(str((place.origin or place.root) / ".dvc"))
    remotes = {name: dict(settings) for name, settings in config["remote"].items()}
    for remote in remotes.values():
        use_ssh_key(remote)
    return {"core": {"remote": config["core"].get("remote")}, "remote": remotes}


def _check_remote(settings: dict[str, Any], place: Place) -> None:
    name = settings["core"]["remote"]
    if not name:
        raise SourceError(
            "The DVC repository has no default remote, so there is no place for the bytes. In a clone of it run "
            "`dvc remote add --default NAME URL`, commit, push, and try again."
        )
    url = settings["remote"].get(name, {}).get("url", "")
    if isinstance(url, RelPath) and place.origin is None:
        shown = os.path.relpath(url, place.root / ".dvc")
        raise SourceError(
            f"The DVC remote {name!r} is the folder {shown}, relative to a clone that is not here. Give it an absolute "
            f"path or a URL: `dvc remote modify {name} url ...`."
        )
    if url and "://" not in url and not Path(url).is_dir():
        raise SourceError(
            f"The DVC remote {name!r} is the folder {url}, which this machine does not have. Make or mount it, or use "
            "a remote that both can reach."
        )


@contextmanager
def _explained(path: str, settings: dict[str, Any]) -> Iterator[None]:
    """Turn what DVC raises over `path` into errors that say what to do."""
    heard = _Heard()
    remote = settings["core"]["remote"]
    protocol = str(settings["remote"].get(remote, {}).get("url", "")).partition("://")[0]
    logging.getLogger("dvc_data").addHandler(heard)
    logging.getLogger("dvc_objects").addHandler(heard)
    try:
        yield
    except UploadError as error:
        why = "; ".join(dict.fromkeys(heard.lines)) or str(error)
        if "No space left" in why or "quota exceeded" in why:
            raise StorageError(f"The DVC remote's disk is full ({why}). Free some space and push again.") from error
        if is_refusal(why):
            raise no_access(remote, protocol, why) from error
        raise ServiceError(
            f"The DVC remote did not take {error.amount:,} of the files of {path}: {why}. Nothing was committed. "
            "Check the remote and its credentials, then push again."
        ) from error
    except ImportError as error:
        raise SourceError(f"The DVC remote cannot be written here: {error}.") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        if is_refusal(str(error)):
            raise no_access(remote, protocol, str(error)) from error
        raise SourceError(
            f"The DVC remote cannot be written: {error}. Check its URL and who may write there."
        ) from error
    except DvcException as error:
        raise SourceError(
            f"DVC cannot track {path}: {error}. Choose another path, or correct the repository."
        ) from error
    finally:
        logging.getLogger("dvc_data").removeHandler(heard)
        logging.getLogger("dvc_objects").removeHandler(heard)


class _Heard(logging.Handler):
    """Keeps the first errors that DVC only logs."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one message, and what caused it."""
        cause = record.exc_info[1] if record.exc_info else None
        if len(self.lines) < 3:
            self.lines.append(str(cause) if cause else record.getMessage())
