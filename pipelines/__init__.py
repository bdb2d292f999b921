"""Ropewalk's KFP pipelines: components wired together, nothing else."""

from ropewalk.pipelines.training.pipeline import training
from ropewalk.pipelines.tuning.pipeline import tuning

__all__ = ["training", "tuning"]
