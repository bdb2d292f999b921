"""Fit a network to a preprocessed table in a Kubeflow TrainJob."""
