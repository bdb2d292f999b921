"""Image names: one image per dependency set, its tag the package version, its registry set by the environment."""

import os

from ropewalk import __version__

REGISTRY = os.environ.get("ROPEWALK_IMAGE_REGISTRY", "ghcr.io/ropewalk")
STEPS = f"{REGISTRY}/ropewalk-steps:{__version__}"
"""Runs every step: DVC, pandas, Arrow, torch, scikit-learn and MLflow."""
