"""Image names: one image per set of third parties, its tag the package version, its registry set by the environment."""

import os

from ropewalk import __version__

REGISTRY = os.environ.get("ROPEWALK_IMAGE_REGISTRY", "ghcr.io/ropewalk")
DATA = f"{REGISTRY}/ropewalk-data:{__version__}"
"""Talks to repositories: DVC, git, Arrow."""
TABLES = f"{REGISTRY}/ropewalk-tables:{__version__}"
"""Reads and writes tables: Arrow, pandas, matplotlib."""
TRAIN = f"{REGISTRY}/ropewalk-train:{__version__}"
"""Computes: torch, XGBoost, scikit-learn, Optuna; launches jobs on a cluster."""
REGISTER = f"{REGISTRY}/ropewalk-registry:{__version__}"
"""Talks to MLflow."""
