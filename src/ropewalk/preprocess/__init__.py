"""Preprocessing: splits a table and learns how to turn its columns into numbers."""
