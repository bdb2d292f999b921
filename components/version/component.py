"""KFP interface of `ropewalk.data.push` for what a training run made: types, defaults and docs, no logic."""

from typing import NamedTuple

from kfp import dsl

from ropewalk import images


@dsl.component(base_image=images.DATA, install_kfp_package=False)
def version_results(
    train: dsl.Input[dsl.Dataset],
    validation: dsl.Input[dsl.Dataset],
    test: dsl.Input[dsl.Dataset],
    model: dsl.Input[dsl.Model],
    repository: str,
    name: str,
) -> NamedTuple("Outputs", [("tags", list[str])]):
    """Version a run's splits and model in a Git and DVC repository; the same bytes again change nothing.

    Args:
        train: Rows the model learned from.
        validation: Rows that chose the best epoch.
        test: Rows that only evaluation sees.
        model: The model, with its preprocessor.
        repository: URL without credentials, or the folder of a bare repository.
        name: What tags call it: NAME/train, NAME/model and so on, under ropewalk/NAME.

    Returns:
        tags: Such as fraud/model@v1.0.0.
    """
    from pathlib import Path

    from ropewalk.data.push import push_all

    sources = [Path(artifact.path) for artifact in (train, validation, test, model)]
    return ([pushed.tag for pushed in push_all(sources, repository=repository, name=name)],)
