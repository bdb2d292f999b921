"""What is locked: the families' requirements, and the images' digests."""

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ropewalk.containers.families import FAMILIES, Sources, check_families
from ropewalk.containers.push import is_loopback
from ropewalk.containers.wheels import fetch_wheels
from ropewalk.errors import ConfigError, ImageError
from ropewalk.images_lock import read_images_lock, write_images_lock

ROOT = Path(__file__).parents[3]
SOURCES = Sources(root=ROOT)
LOCKS = [(family, kind) for family in FAMILIES for kind in (("cpu", "cuda") if family == "train" else ("cpu",))]
DIGEST = f"sha256:{'5' * 64}"
OUR_PARTS = {"fsspec", "s3fs", "boto3", "mlflow-skinny", "alembic", "sqlalchemy"}
"""What setup.cfg has as part of dvc[s3] and mlflow, and some images have alone."""


def _names(text: str) -> set[str]:
    lines = [line for line in text.splitlines() if line[:1].isalnum()]
    return {canonicalize_name(Requirement(line.split()[0]).name) for line in lines}


@pytest.mark.parametrize("family", FAMILIES)
def test_an_image_asks_for_nothing_that_the_package_does_not(family):
    configured = (ROOT / "setup.cfg").read_text(encoding="utf-8")
    section = configured.partition("install_requires =\n")[2].partition("[options.extras_require]")[0]
    allowed = _names("\n".join(line.strip() for line in section.splitlines())) | OUR_PARTS
    assert _names(SOURCES.requirements(family).read_text(encoding="utf-8")) <= allowed


@pytest.mark.parametrize(("family", "accelerator"), LOCKS)
def test_what_is_locked_has_hashes_and_is_what_was_tested(family, accelerator):
    tested = dict(line.split("==") for line in SOURCES.constraints.read_text().splitlines() if "==" in line)
    tested = {canonicalize_name(name): version for name, version in tested.items()}
    entries = re.split(r"\n(?=\w)", SOURCES.lock(family, accelerator).read_text(encoding="utf-8"))[1:]
    assert len(entries) > 20
    for entry in entries:
        name, version = re.match(r"([\w.-]+)==(\S+)", entry).groups()
        assert "--hash=sha256:" in entry, name
        if name != "pip" and accelerator == "cpu":
            assert version.partition("+")[0] == tested[canonicalize_name(name)], name


def test_a_wheel_that_is_not_the_locked_one_is_refused_and_none_is_kept(tmp_path, monkeypatch):
    for folder in ("containers/data", "index"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "containers" / "install.py").touch()
    (tmp_path / "index" / "six-9.9-py3-none-any.whl").write_bytes(b"something else")
    (tmp_path / "containers" / "data" / "requirements.txt").write_text(f"#\nsix==9.9 \\\n    --hash={DIGEST}\n")
    for name, value in {"PIP_FIND_LINKS": str(tmp_path / "index"), "PIP_NO_INDEX": "1"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ImageError, match=r"(?s)holds another file than the one that was locked.*HASHES"):
        fetch_wheels(Sources(root=tmp_path), "data", "cpu")
    assert list((tmp_path / "build" / "wheels").iterdir()) == []


def test_a_family_that_does_not_exist_has_a_likely_one():
    assert check_families(()) == FAMILIES
    with pytest.raises(ConfigError, match=r"no image family 'tarin'\. Did you mean 'train'\?"):
        check_families(("tarin",))


def test_a_folder_without_the_sources_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"does not hold Ropewalk's sources.*--source"):
        Sources(root=tmp_path)


def test_the_images_lock_is_read_as_it_was_written(tmp_path):
    file = tmp_path / "images.lock"
    write_images_lock(
        file, version="1", revision="c", images={"train": ("r.example.com:5000/x/ropewalk-train:1", DIGEST)}
    )
    assert read_images_lock(file) == {"train": f"r.example.com:5000/x/ropewalk-train:1@{DIGEST}"}
    assert [path.name for path in tmp_path.iterdir()] == ["images.lock"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "cannot be read"),
        ("a: [", "cannot be read"),
        ("images: {}", "names no images"),
        ("just text", "names no images"),
        ("images: {train: {image: x}}", "'train' needs `image` and `digest`"),
        (f"images: {{train: {{image: x, digest: {DIGEST[:-1]}}}}}", "'train' needs `image` and `digest`"),
        (f"images: {{train: {DIGEST}}}", "'train' needs `image` and `digest`"),
    ],
)
def test_a_wrong_images_lock_is_refused_with_what_to_do(tmp_path, content, problem):
    file = tmp_path / "images.lock"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError, match=f"(?s){problem}.*make images"):
        read_images_lock(file)


def test_only_registries_of_this_machine_are_spoken_to_without_encryption():
    assert all(map(is_loopback, ("localhost/x:1", "localhost:5000/x:1", "127.0.0.1:5000/x:1", "[::1]:5000/x:1")))
    assert not any(map(is_loopback, ("registry.example.com/x:1", "127.0.0.1.example.com:5000/x:1", "10.0.0.1/x:1")))
