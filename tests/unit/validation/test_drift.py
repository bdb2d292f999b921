"""Comparison with a reference: what is told, how far, and that the figures are those of the literature."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2, ks_2samp

from ropewalk.errors import ArtifactError, ConfigError, DataError
from ropewalk.validation.config import ValidationConfig
from ropewalk.validation.drift import kolmogorov_smirnov, psi, psi_noise
from ropewalk.validation.validate import validate

MakeRaw = Callable[..., Path]
Compare = Callable[..., tuple[str, ...]]
ROWS = 4000


def sales(seed: int, **columns: object) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    base = {
        "price": random.lognormal(3, 0.5, ROWS),
        "pieces": random.integers(1, 6, ROWS),
        "shop": random.choice(["north", "south", "west"], ROWS, p=[0.5, 0.3, 0.2]),
        "y": random.choice(["no", "yes"], ROWS),
    }
    return pd.DataFrame({**base, **columns})


@pytest.fixture
def compare(make_raw: MakeRaw, tmp_path: Path) -> Compare:
    """Return a function that validates a table against a reference and returns the warnings."""

    def run(now: pd.DataFrame, before: pd.DataFrame, **settings: object) -> tuple[str, ...]:
        return validate(
            make_raw(now, "now"),
            report=tmp_path / "report.html",
            target="y",
            reference=make_raw(before, "before"),
            config=ValidationConfig(**settings),  # type: ignore[arg-type]
        ).warnings

    return run


def test_a_table_from_the_same_source_passes_without_a_word(compare: Compare) -> None:
    for seed in range(1, 6):
        assert compare(sales(seed), sales(0)) == ()


def test_a_small_table_from_the_same_source_passes_too(compare: Compare) -> None:
    # 60 rows scatter so much that the plain index often exceeds 0.1.
    for seed in range(1, 6):
        assert compare(sales(seed).head(60), sales(0).head(60)) == ()


def test_a_large_shift_is_refused_and_a_smaller_one_told(compare: Compare) -> None:
    with pytest.raises(
        DataError, match=r"'price' have shifted: the population stability index is 0\.\d+.*psi_error = 0\.2"
    ):
        compare(sales(1, price=sales(1)["price"] * 1.5), sales(0))
    told = compare(sales(1, price=sales(1)["price"] * 1.2), sales(0))
    assert any("psi_warning = 0.1" in text for text in told)
    assert any("Kolmogorov-Smirnov distance is 0.1" in text for text in told)


def test_limits_can_be_raised_and_columns_left_out(compare: Compare) -> None:
    now = sales(1, price=sales(1)["price"] * 1.5)
    assert compare(now, sales(0), psi_warning=5, psi_error=5, ks_warning=1.0) == ()
    assert compare(now, sales(0), drift_ignore=("price",)) == ()


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"price": [None] * 400 + [20.0] * 3600},
            r"'price' is missing in 10\.0% of the rows, in the reference in 0\.0%",
        ),
        ({"shop": ["north"] * 2020 + ["south"] * 1200 + ["east"] * 780}, r"'shop' has categories that are new: 'east'"),
        ({"shop": ["north"] * 2500 + ["south"] * 1500}, r"'shop' has lost categories of the reference: 'west'"),
        ({"extra": [1, 2] * 2000}, r"the column 'extra' is new"),
        ({"price": ["cheap", "dear"] * 2000}, r"'price' has another type: string now, double in the reference"),
    ],
)
def test_what_has_changed_is_told(compare: Compare, columns: dict[str, object], message: str) -> None:
    warnings = compare(sales(1, **columns), sales(0), psi_error=50)
    assert re.search(message, "\n".join(warnings))


def test_new_categories_can_be_refused(compare: Compare) -> None:
    now = sales(1)
    now.loc[:3, "shop"] = "east"
    assert any("categories that are new: 'east'" in text for text in compare(now, sales(0)))
    with pytest.raises(DataError, match="categories that are new: 'east'"):
        compare(now, sales(0), severity={"drift: new": "error"})


def test_a_column_that_is_gone_is_told(compare: Compare) -> None:
    assert compare(sales(1).drop(columns="pieces"), sales(0)) == (
        "the column 'pieces' of the reference is no longer there.",
    )


def test_a_counter_and_times_go_on_without_a_word_of_drift(compare: Compare) -> None:
    now = sales(1, number=range(ROWS, 2 * ROWS), at=pd.date_range("2025", periods=ROWS, freq="min"))
    before = sales(0, number=range(ROWS), at=pd.date_range("2024", periods=ROWS, freq="min"))
    assert not any("shifted" in text for text in compare(now, before))


def test_the_page_shows_old_against_new(compare: Compare, tmp_path: Path) -> None:
    compare(sales(1, price=sales(1)["price"] * 1.2), sales(0))
    html = (tmp_path / "report.html").read_text()
    assert "Against the reference" in html
    assert html.count('<svg class="drawing"') == 4
    assert "a PSI above 0.1 (refused above 0.2), a Kolmogorov-Smirnov distance above 0.1" in html
    assert "Values of price now and in the reference" in html
    assert not re.search(r'(?:src|href)="https?:', html)


def test_the_reference_must_be_whole(make_raw: MakeRaw, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="is not a finished Ropewalk artifact"):
        validate(make_raw(sales(0)), report=tmp_path / "r.html", target="y", reference=tmp_path / "none")


def test_the_index_is_that_of_the_formula() -> None:
    counts, expected = np.array([2000, 3000, 5000]), np.array([3000, 3000, 4000])
    by_hand = (0.2 - 0.3) * np.log(0.2 / 0.3) + (0.5 - 0.4) * np.log(0.5 / 0.4)
    assert psi(counts, expected) == pytest.approx(by_hand, rel=1e-3)
    assert np.isfinite(psi(np.array([0, 10]), np.array([10, 0])))


def test_the_index_of_one_source_stays_below_its_noise() -> None:
    random = np.random.default_rng(0)
    drawn = [(random.multinomial(400, [0.1] * 10), random.multinomial(600, [0.1] * 10)) for _ in range(5000)]
    below = np.mean([psi(now, before) < psi_noise(now, before) for now, before in drawn])
    assert 0.99 < below < 1
    assert psi_noise(*drawn[0]) == pytest.approx(chi2.ppf(0.999, 9) * (1 / 400 + 1 / 600), rel=1e-2)


def test_the_distance_is_scipys() -> None:
    random = np.random.default_rng(0)
    one, other = random.normal(size=300), random.normal(0.3, 1, 500).round(1)
    assert kolmogorov_smirnov(one, other) == pytest.approx(ks_2samp(one, other).statistic)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"psi_warning": 0.3}, r"need 0 < warning <= error"),
        ({"ks_warning": 0.0}, r"ks_warning=0\.0: need a number above 0"),
        ({"null_share_change": 2.0}, r"null_share_change=2\.0"),
    ],
)
def test_a_senseless_limit_is_a_wrong_setting(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ValidationConfig(**settings)  # type: ignore[arg-type]
