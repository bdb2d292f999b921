"""The examples of tuning: each is checked, and its trials run."""

import json
import sys
from pathlib import Path

from ropewalk import images
from ropewalk.check.check import check
from ropewalk.training.launch import Location
from ropewalk.tuning.launch import tune_by_profile

EXAMPLES = Path(__file__).parents[3] / "examples" / "tuning"


def test_the_search_of_the_flights_passes_the_check():
    search = json.loads((EXAMPLES / "flights_search.json").read_text())
    check({}, search=search, max_trials=20)


def test_an_experiment_of_ones_own_trains_on_the_pipelines_data(fitted, tmp_path, monkeypatch):
    text = (EXAMPLES / "own_experiment.json").read_text()
    assert f'"{images.TRAIN}"' in text
    config = json.loads(text)
    check(config)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    splits = fitted("binary")
    names = dict.fromkeys(("train", "validation", "preprocessor"), splits)
    names |= dict.fromkeys(("model", "trials", "report"), tmp_path)
    tuned = tune_by_profile(
        *(Location(str(folder / name), str(folder / name)) for name, folder in names.items()),
        search={},
        max_trials=0,
        epochs=0,
        seed=0,
        engine="local",
        training={},
        config=config["tuning"],
        cluster={},
    )
    assert tuned.result.trials == {"succeeded": 2}
    settings = json.loads((tmp_path / "model" / "model.json").read_text())["training"]
    assert (settings["architecture"], settings["learning_rate"]) == ("linear", tuned.result.best_parameters["rate"])
