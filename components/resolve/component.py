"""KFP interface of `ropewalk.data.resolve`: types, defaults and docs, no logic."""

from typing import NamedTuple

from kfp import dsl

from ropewalk import images


@dsl.component(base_image=images.DATA, install_kfp_package=False)
def resolve_data(
    source: str = "sample:breast_cancer",
    path: str = "",
    revision: str = "",
    config: dict = {},
) -> NamedTuple(
    "Outputs", [("revision", str), ("hash", str), ("pattern", str), ("cache", str), ("reference_revision", str)]
):
    """Find out which version a source has now, so that pull_data is done again only when there is another.

    Never cache this step: its answer is what makes the cache of the others safe.

    Args:
        source: Git repository (URL or folder), plain file or folder, or sample:breast_cancer, :wine, :diabetes.
        path: File or folder in the repository, tracked by DVC or by Git.
        revision: Tag, branch or commit; empty is the head of the default branch.
        config: Pattern, cache folder and reference revision; see `python -m ropewalk.data resolve --help`.

    Returns:
        revision: Git commit that the revision names now; empty when the data are not in Git.
        hash: DVC's hash, or that of plain files; empty when the commit alone names the bytes.
        pattern: Which files to pull.
        cache: Folder that keeps what DVC tracks for other runs.
        reference_revision: Git commit of the version to compare with; empty for none.
    """
    from dataclasses import astuple

    from ropewalk.config import parse_config
    from ropewalk.data.config import DataConfig
    from ropewalk.data.resolve import resolve

    settings = parse_config(DataConfig, config, section="data")
    return astuple(resolve(source, path=path, revision=revision, config=settings))
