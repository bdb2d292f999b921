"""Check a pipeline's settings before any work starts."""
