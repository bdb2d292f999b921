"""Fit a network to a preprocessed table."""
