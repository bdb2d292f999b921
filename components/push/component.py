"""KFP interface of `ropewalk.data.push`: types, defaults and docs, no logic."""

from typing import NamedTuple

from kfp import dsl

from ropewalk import images


@dsl.component(base_image=images.DATA, install_kfp_package=False)
def push_data(
    artifact: dsl.Input[dsl.Artifact],
    repository: str,
    path: str = "",
    name: str = "",
    version: str = "",
    message: str = "",
) -> NamedTuple("Outputs", [("commit", str), ("hash", str), ("tag", str)]):
    """Version an artifact in a Git and DVC repository, unless it has the same bytes already.

    Args:
        artifact: A split, a preprocessor, a model, or any other file or folder.
        repository: URL without credentials, or the folder of a bare repository.
        path: Where in the repository; empty for ropewalk/NAME/train, .../model and so on.
        name: What tags call it; empty for its path.
        version: Such as 1.2.0; empty for the next minor one.
        message: First line of the commit.

    Returns:
        commit: Git commit that has it.
        hash: DVC's hash of the bytes.
        tag: Such as fraud/model@v1.0.0.
    """
    from pathlib import Path

    from ropewalk.data.push import push

    pushed = push(Path(artifact.path), repository=repository, path=path, name=name, version=version, message=message)
    return pushed.commit, pushed.hash, pushed.tag
