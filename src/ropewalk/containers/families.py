"""The families: one image for each set of third parties, and where its files lie in Ropewalk's sources."""

from dataclasses import dataclass
from pathlib import Path

from ropewalk.errors import ConfigError, nearest

FAMILIES = ("data", "tables", "train", "registry")
"""Each holds what its steps import: DVC and git; Arrow and pandas; torch; MLflow."""
ACCELERATORS = ("cpu", "cuda")
"""What the image `train` computes with."""

PACKAGED = ("src", "components", "pipelines", "setup.py", "setup.cfg", "pyproject.toml", "README.md", "LICENSE")
"""What the library's wheel is made of."""


@dataclass(frozen=True, kw_only=True)
class Sources:
    """A checkout of Ropewalk."""

    root: Path

    def __post_init__(self) -> None:
        if not (self.root / "containers" / "install.py").is_file():
            raise ConfigError(
                f"{self.root.absolute()} does not hold Ropewalk's sources, which images are built from: there is no "
                "containers/install.py. Change to a checkout, or name one with --source."
            )

    def containerfile(self, family: str) -> Path:
        """Return the file that says how the image is built."""
        return self.root / "containers" / family / "Containerfile"

    def requirements(self, family: str) -> Path:
        """Return the names that the family asks for."""
        return self.root / "containers" / family / "requirements.in"

    def lock(self, family: str, accelerator: str) -> Path:
        """Return the exact versions and hashes of the family."""
        name = f"requirements-{accelerator}.txt" if family == "train" else "requirements.txt"
        return self.root / "containers" / family / name

    @property
    def constraints(self) -> Path:
        """The exact versions that were tested."""
        return self.root / "constraints.txt"

    @property
    def built(self) -> Path:
        """Folder of what is made on the way to images."""
        return self.root / "build"

    @property
    def library(self) -> Path:
        """Folder that holds the library's wheel."""
        return self.built / "library"

    def wheels(self, family: str) -> Path:
        """Return the folder of the family's wheels."""
        return self.built / "wheels" / family


def check_families(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the families `names`, all of them when there is none.

    Raises:
        ConfigError: One is unknown.
    """
    for name in names:
        if name not in FAMILIES:
            raise ConfigError(
                f"There is no image family {name!r}.{nearest(name, FAMILIES)} Families: {', '.join(FAMILIES)}."
            )
    return names or FAMILIES
