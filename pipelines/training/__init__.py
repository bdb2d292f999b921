"""From a versioned table to a registered model."""
