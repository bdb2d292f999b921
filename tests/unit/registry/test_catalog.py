from collections.abc import Callable
from pathlib import Path

import pytest

from ropewalk.errors import ConfigError, TrackingError
from ropewalk.registry.catalog import Moved, diff, list_models, promote, roll_back, show
from ropewalk.registry.register import register
from ropewalk.tracking import connect


@pytest.fixture
def houses(store: str, make_model: Callable[..., Path], make_evaluation: Callable[..., Path], report: Path) -> str:
    """URI of a store in which version 1 of `houses` is the champion and version 2 was held back."""
    for seed, verdict in enumerate(("promote", "hold")):
        model = make_model(f"model-{seed}", seed=seed)
        register(model, make_evaluation(model, verdict=verdict), report, name="houses", run_id=f"r{seed}")
    return store


def champion(store: str) -> str:
    return str(connect(store).get_registered_model("houses").aliases["champion"])


def test_models_are_listed_with_their_aliases(houses: str) -> None:
    (line,) = list_models()
    assert (line.name, line.versions, line.aliases) == ("houses", 2, {"challenger": "2", "champion": "1"})


def test_all_versions_are_shown_newest_first_or_the_one_that_is_named(houses: str) -> None:
    second, first = show("houses")
    assert (second.version, second.verdict, second.aliases) == ("2", "hold", ["challenger"])
    assert (first.version, first.verdict, first.aliases) == ("1", "promote", ["champion"])
    assert (first.metrics["roc_auc"], first.data_hash, first.reason) == (0.91, "d" * 32, "It beats the baselines.")
    assert first.champion_since != ""
    assert show("houses@champion") == [first]
    assert show("houses/2") == [second]


def test_what_was_held_back_is_promoted_only_on_demand_and_rolled_back(houses: str) -> None:
    with pytest.raises(TrackingError, match=r"version 2 of 'houses' says hold: .*--despite-hold"):
        promote("houses/2")
    assert champion(houses) == "1"
    assert promote("houses@challenger", despite_hold=True) == Moved(name="houses", champion="2", before="1")
    assert champion(houses) == "2"
    assert roll_back("houses") == Moved(name="houses", champion="1", before="2")
    assert champion(houses) == "1"
    assert show("houses/2")[0].note.startswith("taken out of use on")
    promote("houses/2", despite_hold=True)
    assert show("houses/2")[0].note == ""


def test_a_champion_that_is_not_the_expected_one_stays(houses: str) -> None:
    with pytest.raises(TrackingError, match="is version 1 now, not none"):
        promote("houses/2", expected="", despite_hold=True)
    assert champion(houses) == "1"
    assert promote("houses/2", expected="1", despite_hold=True).before == "1"


def test_promoting_the_champion_again_changes_nothing(houses: str) -> None:
    before = connect(houses).get_model_version("houses", "1").tags
    assert promote("houses/1") == Moved(name="houses", champion="1", before="1")
    assert connect(houses).get_model_version("houses", "1").tags == before


def test_a_promotion_needs_a_version_and_a_rollback_none(houses: str) -> None:
    with pytest.raises(ConfigError, match="'houses/3' or 'houses@challenger'"):
        promote("houses")
    with pytest.raises(ConfigError, match="ropewalk models promote 'houses/1'"):
        roll_back("houses/1")


def test_two_versions_are_compared_by_metrics_parameters_and_lineage(houses: str) -> None:
    found = diff("houses/1", "houses/2")
    assert (found.a, found.b, found.metrics) == ("houses/1", "houses/2", {})
    assert found.parameters == {"training.seed": ("0", "1")}
    assert found.lineage["ropewalk.verdict"] == ("promote", "hold")
    assert "data.commit" not in found.lineage
