"""Which version is the champion, against a store of bare versions."""

from collections.abc import Callable

import pytest
from mlflow import MlflowClient

from ropewalk.errors import TrackingError
from ropewalk.registry.aliases import Standing, crown, read, roll_back, settle
from ropewalk.tracking import connect


@pytest.fixture
def client(store: str) -> MlflowClient:
    """Of a registry with the model `houses`, without versions."""
    client = connect(store)
    client.create_registered_model("houses")
    return client


@pytest.fixture
def add(client: MlflowClient) -> Callable[..., Standing]:
    """Return a function that adds a version and settles it."""

    def add(*, promote: bool = True, expected: str = "") -> Standing:
        version = client.create_model_version("houses", source="file:///nowhere")
        return settle(client, "houses", str(version.version), promote=promote, expected=expected)

    return add


def test_the_first_promoted_version_becomes_the_champion(client: MlflowClient, add: Callable[..., Standing]) -> None:
    assert add() == Standing(alias="champion", note="")
    assert read(client, "houses") == {"champion": "1", "challenger": "1"}


def test_one_that_beat_the_champion_replaces_it_and_the_old_one_stays_reachable(
    client: MlflowClient, add: Callable[..., Standing]
) -> None:
    add()
    assert add(expected="1") == Standing(alias="champion", note="")
    assert read(client, "houses") == {"champion": "2", "challenger": "2", "previous-champion": "1"}


def test_one_that_was_held_back_is_a_challenger(client: MlflowClient, add: Callable[..., Standing]) -> None:
    add()
    assert add(promote=False, expected="1") == Standing(alias="challenger", note="")
    assert read(client, "houses") == {"champion": "1", "challenger": "2"}


@pytest.mark.parametrize(("expected", "compared"), [("1", "version 1"), ("", "no champion")])
def test_a_champion_that_it_was_not_compared_with_stays(
    expected: str, compared: str, client: MlflowClient, add: Callable[..., Standing]
) -> None:
    add()
    add(expected="1")
    found = add(expected=expected)
    assert found.alias == "challenger"
    assert found.note.startswith(f"The champion is version 2 now, but version 3 was compared with {compared}.")
    assert client.get_model_version("houses", "3").tags["ropewalk.held_back"] == found.note
    assert read(client, "houses")["champion"] == "2"


def test_settling_again_changes_nothing_whatever_came_after(client: MlflowClient, add: Callable[..., Standing]) -> None:
    add()
    add(expected="1")
    before = read(client, "houses")
    assert settle(client, "houses", "2", promote=True, expected="1") == Standing(alias="champion", note="")
    assert settle(client, "houses", "1", promote=True, expected="").alias == ""
    assert read(client, "houses") == before


@pytest.mark.parametrize("moment", [1, 2, 3, 4, 5])
def test_a_promotion_killed_at_any_moment_is_made_good(
    moment: int, client: MlflowClient, add: Callable[..., Standing], monkeypatch: pytest.MonkeyPatch
) -> None:
    add()
    version = str(client.create_model_version("houses", source="file:///nowhere").version)
    calls: list[object] = []

    def killed_at(call: str) -> Callable[..., None]:
        real = getattr(MlflowClient, call)

        def killed(*arguments: str) -> None:
            calls.append(call)
            if len(calls) == moment:
                raise KeyboardInterrupt
            real(*arguments)

        return killed

    with monkeypatch.context() as patch:
        for call in ("set_registered_model_alias", "set_model_version_tag"):
            patch.setattr(MlflowClient, call, killed_at(call))
        with pytest.raises(KeyboardInterrupt):
            settle(client, "houses", version, promote=True, expected="1")
    assert settle(client, "houses", version, promote=True, expected="1").alias == "champion"
    assert read(client, "houses") == {"champion": "2", "challenger": "2", "previous-champion": "1"}


def test_rollbacks_go_back_one_champion_at_a_time(client: MlflowClient, add: Callable[..., Standing]) -> None:
    for expected in ("", "1", "2"):
        add(expected=expected)
    assert roll_back(client, "houses") == ("3", "2")
    assert read(client, "houses") == {"champion": "2", "challenger": "3", "previous-champion": "1"}
    assert roll_back(client, "houses") == ("2", "1")
    assert read(client, "houses") == {"champion": "1", "challenger": "3"}
    with pytest.raises(TrackingError, match="no earlier champion to go back to"):
        roll_back(client, "houses")


def test_a_version_that_was_rolled_back_is_not_promoted_by_its_run_again(
    client: MlflowClient, add: Callable[..., Standing]
) -> None:
    add()
    add(expected="1")
    roll_back(client, "houses")
    assert "by a rollback" in settle(client, "houses", "2", promote=True, expected="1").note
    assert read(client, "houses")["champion"] == "1"


def test_an_alias_that_somebody_moves_at_the_same_moment_is_told(
    client: MlflowClient, add: Callable[..., Standing], monkeypatch: pytest.MonkeyPatch
) -> None:
    add()
    add(promote=False, expected="1")
    real = MlflowClient.set_registered_model_alias

    def and_someone_else(self: MlflowClient, name: str, alias: str, version: str) -> None:
        real(self, name, alias, version)
        real(self, name, alias, "1")

    monkeypatch.setattr(MlflowClient, "set_registered_model_alias", and_someone_else)
    with pytest.raises(TrackingError, match="is version 1 now: somebody else moved the alias"):
        crown(client, "houses", "2")
