"""Numbers read as a person would write them."""

import pytest

from ropewalk.report.format import aligned, count, duration, number, percent, short, signed, size


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.98712, "0.9871"),
        (1.0, "1.0000"),
        (0.0, "0.0000"),
        (2.5, "2.500"),
        (12.3456, "12.35"),
        (123.456, "123.5"),
        (20218.2, "20,218"),
        (5000.0, "5,000"),
        (7, "7"),
        (1_234_567, "1,234,567"),
        (-0.25, "\N{MINUS SIGN}0.2500"),
        (0.00001234, "1.234e\N{MINUS SIGN}05"),
        (3.2e12, "3.200e+12"),
    ],
)
def test_numbers(value: float, shown: str) -> None:
    assert number(value) == shown


def test_numbers_side_by_side_have_the_same_decimals() -> None:
    assert aligned([20218.2, 628.4, -1574.9]) == ["20,218", "628", "\N{MINUS SIGN}1,575"]
    assert aligned([0.9, 1.0, -0.00001]) == ["0.9000", "1.0000", "0.0000"]


def test_a_difference_shows_its_sign_unless_it_is_zero() -> None:
    assert [signed(shown) for shown in ("0.5", "\N{MINUS SIGN}0.5", "0.0000")] == [
        "+0.5",
        "\N{MINUS SIGN}0.5",
        "0.0000",
    ]


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.0004, "0.4 ms"),
        (0.25, "250 ms"),
        (1.26, "1.3 s"),
        (59.97, "1 min 0 s"),
        (72, "1 min 12 s"),
        (7260, "2 h 1 min"),
    ],
)
def test_lengths_of_time(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


@pytest.mark.parametrize(
    ("amount", "shown"), [(12, "12 bytes"), (1500, "1.5 kB"), (3_400_000, "3.4 MB"), (2e9, "2.0 GB")]
)
def test_sizes(amount: int, shown: str) -> None:
    assert size(amount) == shown


def test_counts_shares_and_digests() -> None:
    assert count(12345) == "12,345"
    assert percent(0.123) == "12.3\N{NARROW NO-BREAK SPACE}%"
    assert short("0123456789abcdef") == "0123456789ab"
    assert short("sha256:0123456789abcdef") == "sha256:0123456789ab"
