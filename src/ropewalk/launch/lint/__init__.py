"""Lint: finds in compiled YAML what a cluster would say late, or never. Needs no KFP."""
