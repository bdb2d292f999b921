import json
import resource
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from ropewalk.artifacts import MANIFEST, MODEL, RAW_DATA, SPLIT, read_artifact, write_artifact
from ropewalk.errors import ArtifactError, StorageError


def write_one(path: Path, text: str = "a") -> None:
    with write_artifact(path, RAW_DATA) as draft:
        (draft.folder / "sub").mkdir()
        (draft.folder / "sub" / "file.txt").write_text(text)
        draft.facts["rows"] = 3


def test_an_artifact_is_read_back_with_its_facts_and_lineage(tmp_path: Path) -> None:
    write_one(tmp_path / "raw")
    raw = read_artifact(tmp_path / "raw", RAW_DATA)
    with write_artifact(tmp_path / "split", SPLIT, [raw]) as draft:
        (draft.folder / "part").write_text("b")
    split = read_artifact(tmp_path / "split", SPLIT)
    assert raw.facts == {"rows": 3}
    assert split.made_from == [{"kind": RAW_DATA, "digest": raw.digest, "facts": {"rows": 3}, "made_from": []}]


def test_same_bytes_give_the_same_digest_and_other_bytes_another(tmp_path: Path) -> None:
    for name, text in (("one", "a"), ("two", "a"), ("three", "b")):
        write_one(tmp_path / name, text)
    one, two, three = (read_artifact(tmp_path / name, RAW_DATA).digest for name in ("one", "two", "three"))
    assert one == two != three


def test_metadata_for_kfp_holds_only_numbers_and_strings(tmp_path: Path) -> None:
    with write_artifact(tmp_path / "raw", RAW_DATA) as draft:
        draft.facts.update(rows=3, name="x", nothing=None, columns=["a"])
    assert set(read_artifact(tmp_path / "raw", RAW_DATA).metadata()) == {"digest", "rows", "name"}


def test_a_block_that_raises_leaves_nothing_and_keeps_what_was_there(tmp_path: Path) -> None:
    write_one(tmp_path / "raw", "first")
    with pytest.raises(KeyboardInterrupt), write_artifact(tmp_path / "raw", RAW_DATA) as draft:
        (draft.folder / "half").write_text("half")
        raise KeyboardInterrupt
    assert (tmp_path / "raw" / "sub" / "file.txt").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]


def test_a_killed_writer_leaves_no_artifact_and_the_next_attempt_succeeds(tmp_path: Path) -> None:
    script = textwrap.dedent(
        """
        import os, signal, sys
        from pathlib import Path
        from ropewalk.artifacts import RAW_DATA, write_artifact
        with write_artifact(Path(sys.argv[1]), RAW_DATA) as draft:
            (draft.folder / "leftover").write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    killed = subprocess.run([sys.executable, "-c", script, str(tmp_path / "raw")])
    assert killed.returncode == -signal.SIGKILL
    with pytest.raises(ArtifactError, match="not a finished"):
        read_artifact(tmp_path / "raw", RAW_DATA)
    write_one(tmp_path / "raw")
    assert set(read_artifact(tmp_path / "raw", RAW_DATA).files) == {"sub/file.txt"}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: (path / "sub" / "file.txt").write_text("z"), "'sub/file.txt' has changed"),
        (lambda path: (path / "sub" / "file.txt").unlink(), "'sub/file.txt' named in its manifest is missing"),
        (lambda path: (path / MANIFEST).unlink(), "not a finished Ropewalk artifact"),
        (lambda path: (path / MANIFEST).write_text("{"), "cannot be read"),
        (lambda path: (path / MANIFEST).write_text('{"kind": "raw-data"}'), "cannot be read"),
    ],
)
def test_damage_is_refused_by_name(tmp_path: Path, damage, message: str) -> None:
    write_one(tmp_path / "raw")
    damage(tmp_path / "raw")
    with pytest.raises(ArtifactError, match=message):
        read_artifact(tmp_path / "raw", RAW_DATA)


def test_another_kind_and_another_format_are_refused(tmp_path: Path) -> None:
    write_one(tmp_path / "raw")
    with pytest.raises(ArtifactError, match="kind 'raw-data', but 'model' is needed"):
        read_artifact(tmp_path / "raw", MODEL)
    manifest = json.loads((tmp_path / "raw" / MANIFEST).read_text())
    (tmp_path / "raw" / MANIFEST).write_text(json.dumps({**manifest, "format_version": 99}))
    with pytest.raises(ArtifactError, match="format 99"):
        read_artifact(tmp_path / "raw", RAW_DATA)


def test_a_full_disk_is_a_storage_error_that_says_what_to_do(tmp_path: Path) -> None:
    """The kernel refuses writes past a file-size limit, as it does on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(StorageError, match=r"Cannot write .*raw.*MB are free.*ROPEWALK_HOME"):
            write_one(tmp_path / "raw", "x" * 1_000_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
    assert list(tmp_path.iterdir()) == []
