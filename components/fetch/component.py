"""KFP interface of `ropewalk.registry.champion`: types, defaults and docs, no logic."""

from kfp import dsl

from ropewalk import images


@dsl.component(base_image=images.REGISTER, install_kfp_package=False)
def fetch_champion(champion: dsl.Output[dsl.Model], name: str = "model", mlflow_tracking_uri: str = ""):
    """Fetch the model that is in use, to be compared with a new one.

    Args:
        name: Name of the registered model.
        mlflow_tracking_uri: MLflow server; empty: MLFLOW_TRACKING_URI, else the embedded store of a local run.

    Returns:
        champion: The version with the alias champion; without files when there is none.
    """
    from pathlib import Path

    from ropewalk.registry.champion import fetch

    manifest = fetch(output=Path(champion.path), name=name, tracking_uri=mlflow_tracking_uri)
    champion.metadata.update(manifest.metadata())
