"""Training: fits a network to a preprocessed table."""
