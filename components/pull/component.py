"""KFP interface of `ropewalk.data`: types, defaults and docs, no logic."""

from typing import NamedTuple

from kfp import dsl

from ropewalk import images


@dsl.component(base_image=images.STEPS, install_kfp_package=False)
def pull_data(
    data: dsl.Output[dsl.Dataset],
    source: str = "sample:breast_cancer",
    path: str = "",
    revision: str = "",
) -> NamedTuple("Outputs", [("digest", str), ("commit", str)]):
    """Pull a table, at one version, from where it is kept, with every byte checked.

    Args:
        source: Git repository (URL or folder), plain file or folder, or sample:breast_cancer, :wine, :diabetes.
        path: File or folder in the repository, tracked by DVC or by Git.
        revision: Tag, branch or commit; empty is the head of the default branch.

    Returns:
        data: The files as versioned, and where they came from.
        digest: SHA-256 of the files: same bytes, same digest.
        commit: Git commit that the revision named; empty when the data are not in Git.
    """
    from pathlib import Path

    from ropewalk.data.pull import pull

    manifest = pull(source, path=path, revision=revision, output=Path(data.path))
    data.metadata.update(manifest.metadata())
    return manifest.digest, manifest.facts["commit"]
