"""Kubeflow Pipelines' API, as a client needs it: publish, submit, follow, schedule; every call can be made again."""
