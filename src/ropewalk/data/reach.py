"""What reading a source reaches on its way: the file beside a table, the repository, its DVC remotes."""

import tempfile
from pathlib import Path, PurePosixPath

from ropewalk.data import git
from ropewalk.data.beside import schema_names
from ropewalk.data.places import Plain, Versioned, find_place


def reached_from(source: str, path: str = "", revision: str = "") -> list[str]:
    """Return the folders, files and addresses that are read beside the bytes that `source` names itself.

    Args:
        source: A Git repository (URL or folder), a plain file or folder, or `sample:` and a sample's name.
        path: File or folder in it.
        revision: Tag, branch or commit of the repository.

    Raises:
        SourceError: There is no such source or revision, or no access to it.
        ServiceError: The server cannot be reached.
    """
    place = find_place(source.strip(), path=path.strip(), revision=revision.strip())
    if isinstance(place, Plain):
        beside = [place.file.with_name(name) for name in schema_names(PurePosixPath(place.file.name))]
        return [str(file) for file in (place.file, *beside) if file.exists()]
    if not isinstance(place, Versioned) or (git.is_url(place.repository) and not place.repository.startswith("file:")):
        return []
    # DVC takes a second to load.
    from ropewalk.data.versioned import open_commit

    with tempfile.TemporaryDirectory(prefix="ropewalk-git-") as scratch:
        named = git.resolve(place.repository, place.revision)
        commit = open_commit(place.repository, named, Path(scratch).resolve() / "checkout")
        remotes = [str(remote.get("url", "")) for files in commit.dvc for remote in files.config["remote"].values()]
    return [place.repository, *remotes]
