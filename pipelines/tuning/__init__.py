"""From a versioned table to the registered best of many models."""
