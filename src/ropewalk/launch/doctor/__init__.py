"""Doctor: is the cluster what a profile says of it? Asked before a GPU is spent; nothing is changed or started."""
