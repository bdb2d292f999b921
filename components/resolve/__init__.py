"""Find out which version a source has now."""
