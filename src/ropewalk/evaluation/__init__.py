"""Evaluation: measures a model on rows that it never saw, and decides whether to promote it."""
