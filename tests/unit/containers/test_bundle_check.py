"""The check of a bundle names every kind of damage."""

import hashlib

import pytest

from ropewalk.containers.bundle import SUMS, verify_bundle
from ropewalk.errors import ConfigError, ImageError


@pytest.fixture
def bundle(tmp_path):
    folder = tmp_path / "bundle"
    sums = []
    for name in ("README.md", "images/a.oci.tar", "wheels/b.whl"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
        sums.append(f"{hashlib.sha256(name.encode()).hexdigest()}  {name}\n")
    (folder / SUMS).write_text("".join(sums))
    return folder


def test_a_whole_bundle_passes(bundle):
    assert verify_bundle(bundle) == 3


def test_every_kind_of_damage_is_named(bundle):
    (bundle / "README.md").write_text("README.mb")
    (bundle / "images" / "a.oci.tar").unlink()
    (bundle / "wheels" / "evil.whl").touch()
    with pytest.raises(ImageError) as told:
        verify_bundle(bundle)
    for problem in ("README.md: altered", "images/a.oci.tar: missing", f"wheels/evil.whl: not in {SUMS}"):
        assert problem in str(told.value)


@pytest.mark.parametrize("content", ["nonsense\n", ""])
def test_sums_that_are_no_sums_are_refused(bundle, content):
    (bundle / SUMS).write_text(content)
    with pytest.raises(ImageError, match=SUMS):
        verify_bundle(bundle)


def test_another_folder_is_no_bundle(tmp_path):
    with pytest.raises(ConfigError, match=f"is no bundle: it has no {SUMS}"):
        verify_bundle(tmp_path)
