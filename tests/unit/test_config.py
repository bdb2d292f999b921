from dataclasses import dataclass, field

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


@dataclass(frozen=True, kw_only=True)
class Inner:
    size: int = 1


@dataclass(frozen=True, kw_only=True)
class Outer:
    one: Inner | None = None
    many: tuple[Inner, ...] = ()
    named: dict[str, Inner] = field(default_factory=dict)
    free: dict[str, object] = field(default_factory=dict)


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"one": {"siz": 1}}, r"outer\.one\.siz"),
        ({"many": [{"size": 1}, {"siz": 1}]}, r"outer\.many\.1\.siz"),
        ({"named": {"a": {"siz": 1}}}, r"outer\.named\.a\.siz"),
    ],
)
def test_an_unknown_setting_is_found_at_any_depth(values: dict, place: str) -> None:
    with pytest.raises(ConfigError, match=rf"{place}: there is no such setting\. Did you mean 'size'\?"):
        parse_config(Outer, values, section="outer")


def test_mappings_without_a_schema_take_any_name() -> None:
    assert parse_config(Outer, {"free": {"siz": 1}}).free == {"siz": 1}
