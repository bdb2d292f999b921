"""`ropewalk models` and `ropewalk explain` as a person calls them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from ropewalk.cli import cli
from ropewalk.errors import RopewalkError
from ropewalk.registry.register import register


@pytest.fixture
def houses(store: str, make_model: Callable[..., Path], make_evaluation: Callable[..., Path], report: Path) -> str:
    """URI of a store in which version 1 of `houses` is the champion and version 2 the challenger."""
    for seed in range(2):
        model = make_model(f"model-{seed}", seed=seed)
        register(model, make_evaluation(model), report, name="houses", run_id=f"r{seed}")
    return store


def told(*arguments: str) -> str:
    """What the command prints; its errors come through."""
    return CliRunner().invoke(cli, arguments, catch_exceptions=False, standalone_mode=False).output


def test_models_are_listed_shown_compared_promoted_and_rolled_back(houses: str) -> None:
    assert [word in told("models", "ls") for word in ("houses", "champion", "challenger")] == [True] * 3
    assert json.loads(told("models", "ls", "--json"))[0]["aliases"] == {"challenger": "2", "champion": "1"}
    shown = told("models", "show", "houses")
    assert "It beats the baselines." in shown
    assert "The champion is version 1 now" in shown
    assert "roc_auc 0.91" in told("models", "show", "houses/1")
    assert [line["version"] for line in json.loads(told("models", "show", "houses", "--json"))] == ["2", "1"]
    assert "training.seed" in told("models", "diff", "houses", "houses@challenger")
    assert "No metric, parameter or fact differs." in told("models", "diff", "houses", "houses/1")
    assert told("models", "promote", "houses/2", "--expect", "1") == (
        "Version 2 of 'houses' is the champion now; version 1 was before.\n"
    )
    assert told("models", "promote", "houses/2") == "Version 2 of 'houses' is the champion already.\n"
    assert json.loads(told("models", "rollback", "houses", "--json")) == {
        "name": "houses",
        "champion": "1",
        "before": "2",
    }


def test_a_model_is_explained_and_the_models_of_its_data_are_found(houses: str) -> None:
    assert told("explain", "houses/2").startswith("houses version 2\n")
    assert json.loads(told("explain", "houses", "--json"))["data"]["commit"] == "c" * 40
    assert "houses version 2" in told("explain", "--data", "d" * 32)


def test_an_explanation_is_written_as_a_page(houses: str, tmp_path: Path) -> None:
    page = tmp_path / "lineage.html"
    assert told("explain", "houses@challenger", "--page", str(page)) == f"Written to {page}.\n"
    assert "houses version 2" in page.read_text(encoding="utf-8")


def test_errors_say_what_to_do(store: str) -> None:
    for arguments, message in (
        (("models", "show", "houses"), "There are none yet: `ropewalk run training` makes one."),
        (("explain",), "Give a model, as in `ropewalk explain fraud`"),
        (("explain", "houses", "--data", "x"), "and not both"),
        (("explain", "--data", "x", "--page", "x.html"), "it tells of a model, and none is given"),
        (("explain", "houses", "--page", "nowhere/x.html"), "there is no folder 'nowhere'"),
        (("models", "promote", "houses"), "names no version"),
    ):
        with pytest.raises(RopewalkError, match=message):
            told(*arguments)


def test_the_program_ends_with_the_error_and_its_code(ropewalk, tmp_path: Path) -> None:
    ended = ropewalk.call("models", "ls", "--tracking-uri", f"sqlite:///{tmp_path}/none.db")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("error: There is no registry at sqlite:///")


def test_the_help_teaches(ropewalk) -> None:
    assert "ropewalk models rollback fraud" in told("models", "--help")
    assert "ropewalk explain fraud/3 --json" in told("explain", "--help")
    assert "ropewalk explain MODEL" in ropewalk.call("--help").stdout
