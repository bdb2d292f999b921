"""Containers: runs a pipeline's steps in podman or docker, locked, with the limits that the compiled YAML sets."""
