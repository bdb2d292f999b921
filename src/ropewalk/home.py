"""Where Ropewalk keeps what belongs to this machine: runs and the embedded MLflow store."""

import os
from pathlib import Path


def ropewalk_home() -> Path:
    """Return the absolute state folder: $ROPEWALK_HOME, else `.ropewalk` in the current folder."""
    return Path(os.environ.get("ROPEWALK_HOME", ".ropewalk")).absolute()


def embedded_tracking_uri() -> str:
    """Return the URI of the embedded MLflow store, a sqlite file in the state folder."""
    return f"sqlite:///{ropewalk_home() / 'mlflow.db'}"
