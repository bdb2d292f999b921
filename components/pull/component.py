"""KFP interface of `ropewalk.data`: types, defaults and docs, no logic."""

from typing import NamedTuple

from kfp import dsl

from ropewalk import images


@dsl.component(base_image=images.DATA, install_kfp_package=False)
def pull_data(
    data: dsl.Output[dsl.Dataset],
    reference: dsl.Output[dsl.Dataset],
    source: str = "sample:breast_cancer",
    path: str = "",
    revision: str = "",
    pattern: str = "",
    cache: str = "",
    expected_hash: str = "",
    reference_revision: str = "",
) -> NamedTuple(
    "Outputs",
    [
        ("digest", str),
        ("repository", str),
        ("commit", str),
        ("path", str),
        ("hash", str),
        ("bytes", int),
        ("files", int),
    ],
):
    """Pull a table, at one version, from where it is kept, with every byte checked.

    Args:
        source: Git repository (URL or folder), plain file or folder, or sample:breast_cancer, :wine, :diabetes.
        path: File or folder in the repository, tracked by DVC or by Git.
        revision: Tag, branch or commit; empty is the head of the default branch.
        pattern: Which files of a folder, such as 2024-*.parquet; empty is all of them.
        cache: Folder, such as a mounted volume, that keeps what DVC tracks for other runs; empty for none.
        expected_hash: What resolve_data found, to refuse data that have changed since; empty takes what is there.
        reference_revision: Tag, branch or commit of a version to compare with; empty for none.

    Returns:
        data: The files as versioned, and where they came from.
        reference: The same path at reference_revision; without files when there is none.
        digest: SHA-256 of the files: same bytes, same digest.
        repository: Git repository; empty when the data are not in Git.
        commit: Git commit that the revision named; empty when the data are not in Git.
        path: Path in the repository.
        hash: DVC's hash of the data, or SHA-256 of files that DVC does not track.
        bytes: Size of all files.
        files: Number of files.
    """
    from pathlib import Path

    from ropewalk.data.pull import pull_with_reference

    places = {"output": Path(data.path), "reference": Path(reference.path)}
    where = {"path": path, "revision": revision, "pattern": pattern, "cache": cache, "expected_hash": expected_hash}
    manifest = pull_with_reference(source, **where, reference_revision=reference_revision, **places)
    data.metadata.update(manifest.metadata())
    recorded = ("repository", "commit", "path", "hash", "bytes", "files")
    return (manifest.digest, *(manifest.facts[name] for name in recorded))
