"""The images of the steps: locked, built, described, pushed and bundled."""
