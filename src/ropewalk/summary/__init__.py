"""Summary: says how a run ended, whether it passed or failed."""
