"""Push an artifact back into a Git and DVC repository as a new version."""
