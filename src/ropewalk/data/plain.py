"""Copies a file or folder that is not in version control, and names its content by a hash."""

import fnmatch
import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from ropewalk.artifacts import file_sha256
from ropewalk.data.beside import schema_names
from ropewalk.errors import SourceError, nearest


def plain_files(source: Path, pattern: str) -> dict[str, Path]:
    """Return the file `source`, or the files of the folder `source` that `pattern` ("" is all) allows, by name.

    With a single file comes the schema beside it. Links inside a folder are followed as long as they stay in it.

    Raises:
        SourceError: There is nothing at `source`, or a link leads out of it.
    """
    if not source.exists():
        raise SourceError(_missing(source))
    files = _with_schema(source) if source.is_file() else _files_of(source)
    if not files:
        raise SourceError(f"The folder {source} has no files.")
    matching = {name: file for name, file in files.items() if not pattern or fnmatch.fnmatchcase(name, pattern)}
    if not matching:
        raise SourceError(f"No file of {source} matches the pattern {pattern!r}. It has {', '.join([*files][:20])}.")
    return matching


def copy_files(files: Mapping[str, Path], destination: Path) -> str:
    """Copy files into `destination` under their names and return "sha256:<hex>" of them."""
    for name, file in files.items():
        copy = destination / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
    return content_hash(destination)


def content_hash(folder: Path) -> str:
    """Return "sha256:<hex>" of the files in `folder`, as `hash_files` does."""
    return hash_files({file.relative_to(folder).as_posix(): file for file in folder.rglob("*") if file.is_file()})


def hash_files(files: Mapping[str, Path]) -> str:
    """Return "sha256:<hex>": of the one file, or of the list of all files' hashes and names."""
    ordered = sorted(files.items(), key=lambda entry: PurePosixPath(entry[0]))
    hashes = [f"{file_sha256(file)}  {name}\n" for name, file in ordered]
    if len(hashes) == 1:
        return f"sha256:{hashes[0].split()[0]}"
    return f"sha256:{hashlib.sha256(''.join(hashes).encode()).hexdigest()}"


def _with_schema(table: Path) -> dict[str, Path]:
    beside = [table.with_name(name) for name in schema_names(PurePosixPath(table.name))]
    return {file.name: file for file in [table, *beside] if file == table or file.is_file()}


def _files_of(folder: Path) -> dict[str, Path]:
    root = folder.resolve()
    files = {}
    for file in sorted(folder.rglob("*")):
        if file.is_symlink() and not file.resolve().is_relative_to(root):
            raise SourceError(
                f"{file} is a link that leads out of {folder} (to {file.resolve()}). Put the file itself there."
            )
        if file.is_symlink() and file.is_dir():
            raise SourceError(f"{file} is a link to a folder. Put the folder itself there, or name it in the path.")
        if file.is_file():
            files[file.relative_to(folder).as_posix()] = file
    return files


def _missing(source: Path) -> str:
    parent = next(folder for folder in source.absolute().parents if folder.exists())
    close = (
        nearest(source.name, [entry.name for entry in parent.iterdir()]) if parent == source.absolute().parent else ""
    )
    return (
        f"There is no file or folder {source.absolute()}.{close} The data can be a file, a folder, a Git repository "
        "(folder or URL) or a sample, such as sample:breast_cancer."
    )
