import pytest
from mlflow import MlflowClient
from mlflow.store.entities import PagedList

from ropewalk.errors import ConfigError, ServiceError, TrackingError
from ropewalk.registry.lookup import Reference, every, find_version, opened, parse
from ropewalk.tracking import connect


@pytest.fixture
def client(store: str) -> MlflowClient:
    """Of a registry with three versions of `houses`, the second of which is the champion."""
    client = connect(store)
    client.create_registered_model("houses")
    for _ in range(3):
        client.create_model_version("houses", source="file:///nowhere")
    client.set_registered_model_alias("houses", "champion", "2")
    client.set_registered_model_alias("houses", "challenger", "3")
    return client


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("houses", ("houses", "", "")),
        ("my houses v1.2@champion", ("my houses v1.2", "champion", "")),
        ("houses/03", ("houses", "", "3")),
    ],
)
def test_a_reference_names_a_model_an_alias_or_a_version(text: str, meant: tuple[str, str, str]) -> None:
    name, alias, version = meant
    assert parse(text) == Reference(name=name, alias=alias, version=version)


@pytest.mark.parametrize("text", ["houses@", "houses/", "houses/new", "houses@champion/3", "houses/1/2", ""])
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"Give|give"):
        parse(text)


@pytest.mark.parametrize(("text", "version"), [("houses", "2"), ("houses@challenger", "3"), ("houses/1", "1")])
def test_a_version_is_found_and_without_one_the_champion(text: str, version: str, client: MlflowClient) -> None:
    assert str(find_version(client, parse(text)).version) == version


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("hauses", "There is no registered model 'hauses'. Did you mean 'houses'? Known: houses."),
        ("houses@best", "'houses' has no alias 'best'. It has challenger, champion."),
        ("houses/9", "'houses' has no version 9. It has 3, 2, 1."),
    ],
)
def test_what_is_not_there_is_told_with_what_is(text: str, told: str, client: MlflowClient) -> None:
    with pytest.raises(TrackingError) as caught:
        find_version(client, parse(text))
    assert str(caught.value) == told


def test_everything_is_found_that_a_server_gives_in_pages() -> None:
    pages = {None: PagedList([1, 2], "second"), "second": PagedList([3], "third"), "third": PagedList([], None)}
    assert every(pages.__getitem__) == [1, 2, 3]


def test_a_registry_that_nobody_has_made_is_told_and_not_made(store: str, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("ROPEWALK_HOME", str(tmp_path / "new"))
    with pytest.raises(TrackingError, match=r"no registry at .*ROPEWALK_HOME"), opened(""):
        pass
    assert not (tmp_path / "new").exists()


def test_a_server_that_is_down_is_a_service_error(store: str) -> None:
    with pytest.raises(ServiceError, match="curl"), opened("http://127.0.0.1:9") as (client, _):
        find_version(client, parse("houses"))
