"""Ropewalk: Kubeflow Pipelines components for a model's whole life. Imports nothing, so that every step starts fast."""

__version__ = "0.1.0"
