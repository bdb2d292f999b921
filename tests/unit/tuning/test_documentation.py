"""The guide to tuning says what there is."""

import re
from dataclasses import fields
from pathlib import Path

import yaml

from ropewalk.config import parse_config
from ropewalk.tuning.algorithms import SETTINGS
from ropewalk.tuning.config import TuningConfig
from ropewalk.tuning.profile import TuneProfile
from ropewalk.tuning.search import read_search

GUIDE = (Path(__file__).parents[3] / "docs" / "tuning.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    return re.search(rf"^```{language}\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)[1]


def test_every_setting_and_algorithm_is_explained():
    assert [each.name for each in fields(TuningConfig) if f"`{each.name}`" not in GUIDE] == []
    assert [name for name in SETTINGS if name not in GUIDE] == []


def test_the_search_and_the_profile_in_it_are_right():
    assert [each.name for each in read_search(yaml.safe_load(block("json")), {})] == [
        *("learning_rate", "width", "dropout", "depth")
    ]
    profile = parse_config(TuneProfile, yaml.safe_load(block("yaml"))["tune"])
    assert (profile.engine, profile.pods.memory) == ("katib", "8Gi")
