"""Profiles to begin with: three kinds of cluster, each a file to be changed."""

from importlib.resources import as_file, files
from importlib.resources.abc import Traversable
from pathlib import Path

from ropewalk.errors import ConfigError, StorageError, nearest
from ropewalk.launch.profiles.config import Profile
from ropewalk.launch.profiles.read import read_profile

KINDS = ("onprem-single-gpu", "cloud-spot-gpu", "air-gapped")


def read_example(kind: str) -> Profile:
    """Return the example of that kind.

    Raises:
        ConfigError: There is none.
    """
    with as_file(_example(kind)) as file:
        return read_profile(file)


def write_example(kind: str, file: Path) -> None:
    """Write the example of that kind to `file`, which must not be there.

    Raises:
        ConfigError: There is no such example, or the file is there.
        StorageError: The disk refuses.
    """
    text = _example(kind).read_text(encoding="utf-8")
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError as error:
        raise ConfigError(f"{file} is there already and is left as it is. Name another file.") from error
    except OSError as error:
        raise StorageError(f"Cannot write {file}: {error.strerror}. Name a file in a folder that is there.") from error


def _example(kind: str) -> Traversable:
    if kind not in KINDS:
        raise ConfigError(f"There is no example {kind!r}.{nearest(kind, KINDS)} There are: {', '.join(KINDS)}.")
    return files("ropewalk.launch.profiles").joinpath("examples", f"{kind}.yaml")
