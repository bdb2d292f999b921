"""Version what a run made in a Git and DVC repository."""
