"""Training from URIs: what each process of a job does."""

import json

import pytest

from ropewalk.artifacts import MODEL, SPLIT, read_artifact
from ropewalk.errors import ArtifactError, ConfigError
from ropewalk.training.remote import train_remotely

SMALL = json.dumps({"width": 16, "depth": 1})


@pytest.fixture
def inputs(fitted):
    """Paths of the inputs, as the command line takes them."""
    folder = fitted("binary")
    return {name: str(folder / name) for name in ("train", "validation", "preprocessor")}


def test_the_first_process_stores_the_model_and_tells_its_facts(inputs, tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "0")
    facts = train_remotely(**inputs, model=str(tmp_path / "model"), epochs=1, settings=SMALL)
    assert facts["digest"] == read_artifact(tmp_path / "model", MODEL).digest
    assert facts["epochs"] == 1


def test_another_process_stores_nothing(inputs, tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    assert train_remotely(**inputs, model=str(tmp_path / "model"), epochs=1, settings=SMALL) == {}
    assert not (tmp_path / "model").exists()


def test_an_input_with_another_digest_than_announced_is_refused(inputs, tmp_path):
    digest = read_artifact(tmp_path.__class__(inputs["train"]), SPLIT).digest
    wrong = inputs | {"train": f"{inputs['train']}#{digest[::-1]}"}
    with pytest.raises(ArtifactError, match=f"expected {digest[::-1]}"):
        train_remotely(**wrong, model=str(tmp_path / "model"))


@pytest.mark.parametrize(("settings", "message"), [("{", "is not JSON"), ('{"widht": 3}', "Did you mean 'width'")])
def test_settings_that_are_wrong_are_refused_before_anything_is_fetched(settings, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        train_remotely("none", validation="none", preprocessor="none", model="none", settings=settings)
