"""Pull a table, at one version, from where it is kept."""
