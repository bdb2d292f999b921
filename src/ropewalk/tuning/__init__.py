"""Tuning: one experiment, a search for good settings, run by an engine on this machine or on a cluster."""
