"""The schema of a single table is kept beside it: `houses.csv` and `houses.schema.yaml`."""

from pathlib import PurePosixPath

SCHEMA_ENDING = ".schema.yaml"
"""How the name of a schema file ends."""


def schema_names(table: PurePosixPath) -> list[str]:
    """Return the names that the schema of the file `table` may have in its folder: of "houses.csv.gz" three."""
    name = table.name
    endings = [name]
    while PurePosixPath(name).suffix:
        name = PurePosixPath(name).stem
        endings.append(name)
    return [f"{beginning}{SCHEMA_ENDING}" for beginning in endings]
