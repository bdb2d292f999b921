from dataclasses import dataclass

import pytest

from ropewalk.config import parse_config
from ropewalk.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Sample:
    epochs: int = 3
    names: tuple[str, ...] = ()
    rate: float = 0.1

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise ConfigError(f"epochs={self.epochs}: need at least 1.")


def test_whole_floats_count_as_integers_because_kfp_sends_them() -> None:
    assert parse_config(Sample, {"epochs": 5.0, "names": ["a"]}) == Sample(epochs=5, names=("a",))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epoch": 3}, r"training\.epoch: there is no such setting\. Did you mean 'epochs'\?"),
        ({"epochs": "many"}, r"training\.epochs='many'"),
        ({"epochs": 2.5}, r"training\.epochs=2\.5"),
        ({"epochs": 0}, r"training\.epochs=0: need at least 1"),
        ({"names": [1]}, r"training\.names\.0=1"),
        ({"names": "a"}, r"training\.names='a'"),
    ],
)
def test_a_wrong_setting_is_named(values: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_config(Sample, values, section="training")


def test_all_problems_are_reported_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(Sample, {"epoch": 3, "rate": "x", "colour": 1})
    assert str(caught.value).count("\n  - ") == 3
