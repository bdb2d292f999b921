"""Registry: records a model in MLflow, once per run."""
