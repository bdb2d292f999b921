"""Validation: refuses a table that cannot be trained on, before anything is trained."""
