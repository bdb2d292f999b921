"""Fetch the champion of a registered model."""
