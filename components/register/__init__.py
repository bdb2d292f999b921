"""Register a model in MLflow, once per run."""
