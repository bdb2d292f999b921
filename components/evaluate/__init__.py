"""Evaluate a model on rows that it never saw, and decide whether to promote it."""
