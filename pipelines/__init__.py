"""Ropewalk's KFP pipelines: components wired together, nothing else."""

from ropewalk.pipelines.training.pipeline import training

__all__ = ["training"]
