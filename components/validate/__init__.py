"""Refuse a table that cannot be trained on."""
