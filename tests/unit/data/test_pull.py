"""Pulling what is not versioned: samples, plain files and folders."""

import hashlib
from pathlib import Path

import pytest

from ropewalk.data.pull import pull
from ropewalk.data.tables import read_table
from ropewalk.errors import SourceError


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "output"


@pytest.mark.parametrize(
    ("name", "target", "rows", "values"),
    [
        ("breast_cancer", "diagnosis", 569, {"malignant", "benign"}),
        ("wine", "cultivar", 178, {"class_0", "class_1", "class_2"}),
        ("diabetes", "progression", 442, None),
    ],
)
def test_a_sample_names_its_target(output: Path, name: str, target: str, rows: int, values: set[str] | None) -> None:
    manifest = pull(f"sample:{name}", output=output)
    table = read_table(output)
    assert manifest.facts["target"] == target
    assert table.num_rows == rows
    assert table[target].null_count == 0
    assert values is None or set(table[target].to_pylist()) == values


def test_a_sample_is_the_same_each_time(output: Path, tmp_path: Path) -> None:
    assert pull("sample:wine", output=output).digest == pull("sample:wine", output=tmp_path / "again").digest


def test_a_plain_file_is_copied_and_hashed(output: Path, tmp_path: Path) -> None:
    table = b"a,b\n1,2\n"
    (tmp_path / "t.csv").write_bytes(table)
    manifest = pull(str(tmp_path / "t.csv"), output=output)
    assert (output / "data" / "t.csv").read_bytes() == table
    assert manifest.facts["hash"] == f"sha256:{hashlib.sha256(table).hexdigest()}"
    assert (manifest.facts["repository"], manifest.facts["commit"]) == ("", "")


def test_a_plain_folder_keeps_its_shape_and_its_inner_links(output: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.csv").write_text("x\n1\n")
    (folder / "deep" / "b.csv").symlink_to(folder / "a.csv")
    pull(str(folder), output=output)
    copies = sorted(file.relative_to(output / "data").as_posix() for file in (output / "data").rglob("*.csv"))
    assert copies == ["a.csv", "deep/b.csv"]
    assert not (output / "data" / "deep" / "b.csv").is_symlink()


def test_a_part_of_a_plain_folder_comes_alone(output: Path, tmp_path: Path) -> None:
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    (tmp_path / "folder" / "a.csv").write_text("x\n1\n")
    (tmp_path / "folder" / "deep" / "b.csv").write_text("x\n2\n")
    pull(str(tmp_path / "folder"), path="deep", output=output)
    assert read_table(output).to_pylist() == [{"x": 2}]


def test_a_link_out_of_a_plain_folder_is_refused(output: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("x\n1\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.csv").symlink_to(tmp_path / "secret.csv")
    with pytest.raises(SourceError, match=r"a\.csv is a link that leads out of .*secret\.csv\). Put the file itself"):
        pull(str(tmp_path / "folder"), output=output)
    assert not output.exists()


def test_a_link_to_a_folder_is_refused_rather_than_dropped(output: Path, tmp_path: Path) -> None:
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    (tmp_path / "folder" / "deep" / "a.csv").write_text("x\n1\n")
    (tmp_path / "folder" / "again").symlink_to(tmp_path / "folder" / "deep")
    with pytest.raises(SourceError, match=r"again is a link to a folder"):
        pull(str(tmp_path / "folder"), output=output)


@pytest.mark.parametrize(
    ("source", "path", "revision", "message"),
    [
        ("", "", "", r"No data are named\. Name a file, a folder, a Git repository or sample:breast_cancer"),
        (
            "sample:win",
            "",
            "",
            r"There is no sample 'win'\. Did you mean 'wine'\? Samples: breast_cancer, wine, diabetes",
        ),
        ("sample:wine", "", "v1", r"sample:wine is a sample: it has neither paths nor revisions"),
        ("{folder}/tabel.csv", "", "", r"There is no file or folder .*tabel\.csv\. Did you mean 'table\.csv'\?"),
        ("{folder}/no/where", "", "", r"There is no file or folder .*/no/where\. The data can be"),
        ("{folder}", "../other", "", r"The path leads out of "),
        ("{folder}/empty", "", "", r"The folder .*empty has no files"),
        ("{folder}/table.csv", "", "v1", r"table\.csv is not in a Git repository, so it has no revision 'v1'"),
    ],
)
def test_a_mistake_is_answered_with_what_to_do(
    output: Path, tmp_path: Path, source: str, path: str, revision: str, message: str
) -> None:
    folder = tmp_path / "folder"
    (folder / "empty").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    (folder / "table.csv").write_text("a\n1\n")
    with pytest.raises(SourceError, match=message):
        pull(source.format(folder=folder), path=path, revision=revision, output=output)
    assert not output.exists()
    assert not output.with_name("output.partial").exists()
