"""Validation: what it refuses, what it warns of, how it decides the task, and what it reports."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ropewalk.artifacts import RAW_DATA, write_artifact
from ropewalk.errors import ArtifactError, ConfigError, DataError
from ropewalk.validation.config import ValidationConfig
from ropewalk.validation.validate import Validated, validate

ROWS = 120
MakeRaw = Callable[..., Path]
Check = Callable[..., Validated]


def frame(**columns: object) -> pd.DataFrame:
    """Return a table with two harmless features, a target `y` of two classes, and `columns` beside or instead."""
    rows = np.arange(ROWS)
    base = {"size": rows * 7 % 131 / 3, "colour": [("red", "blue", "green")[row * 11 % 3] for row in rows]}
    return pd.DataFrame({**base, "y": ["no" if row % 5 else "yes" for row in rows], **columns})


@pytest.fixture
def check(make_raw: MakeRaw, tmp_path: Path) -> Check:
    """Return a function that validates a data frame; the page is in tmp_path/report.html."""

    def run(table: pd.DataFrame, *, target: str = "y", task: str = "auto", **settings: object) -> Validated:
        return validate(
            make_raw(table),
            report=tmp_path / "report.html",
            target=target,
            task=task,
            config=ValidationConfig(**settings),  # type: ignore[arg-type]
        )

    return run


def page(tmp_path: Path) -> str:
    return re.sub(r"<style.*?</style>|<[^>]+>", " ", (tmp_path / "report.html").read_text(), flags=re.DOTALL)


def test_a_sound_table_passes_without_a_word(check: Check, tmp_path: Path) -> None:
    assert check(frame()) == Validated(target="y", task="binary", rows=ROWS, columns=3, warnings=())
    assert "Nothing is wrong with the table" in page(tmp_path)


# The target


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("siez", r"there is no column 'siez'\. Did you mean 'size'\? The columns are size, colour, y"),
        ("", r"no target is named\. Set it to one of the columns: size, colour, y"),
    ],
)
def test_a_missing_target_is_answered_with_the_columns(check: Check, target: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        check(frame(), target=target)


def test_the_artifact_can_name_the_target(tmp_path: Path) -> None:
    with write_artifact(tmp_path / "raw", RAW_DATA) as draft:
        (draft.folder / "data").mkdir()
        frame().to_csv(draft.folder / "data" / "t.csv", index=False)
        draft.facts["target"] = "y"
    assert validate(tmp_path / "raw", report=tmp_path / "report.html").target == "y"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([None] * ROWS, r"the target 'y' has no value in any row"),
        (["only"] * ROWS, r"the target 'y' is 'only' in every row: there is nothing to learn"),
        ([3.5] * ROWS, r"the target 'y' is '3\.5' in every row"),
        (pd.date_range("2020", periods=ROWS), r"the target 'y' holds times"),
        (["rare"] + ["a", "b"] * 59 + ["a"], r"classes of the target 'y' have one row only.*: rare\. Merge them"),
        ([[1, 2]] * ROWS, r"the column 'y' has the type list<.*>, which cannot be used"),
    ],
)
def test_a_target_that_cannot_be_learned_is_refused(check: Check, values: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        check(frame(y=values))


@pytest.mark.parametrize(
    ("values", "task"),
    [
        ([True, False] * 60, "binary"),
        (["a", "b"] * 60, "binary"),
        ([1, 7] * 60, "binary"),
        ([0.5, 1.5] * 60, "binary"),
        (["a", "b", "c"] * 40, "multiclass"),
        ([1, 2, 3] * 40, "multiclass"),
        ([1.0, 2.0, 3.0, None] * 30, "multiclass"),
        ([row % 20 for row in range(ROWS)], "multiclass"),
        ([row % 21 for row in range(ROWS)], "regression"),
        ([0.5, 1.5, 2.5] * 40, "regression"),
        ([row * row / 7 for row in range(ROWS)], "regression"),
    ],
)
def test_the_task_follows_from_the_targets_values(check: Check, values: list[object], task: str) -> None:
    assert check(frame(y=values)).task == task


def test_a_given_task_stands_where_it_is_possible(check: Check) -> None:
    numbers = [row % 3 for row in range(ROWS)]
    assert check(frame(y=numbers), task="regression").task == "regression"
    assert check(frame(y=["a", "b"] * 60), task="multiclass").task == "multiclass"


@pytest.mark.parametrize(
    ("values", "task", "message"),
    [
        (["a", "b", "c"] * 40, "regression", r"the task is regression, but the target 'y' holds string values such as"),
        ([True, False] * 60, "regression", r"the task is regression, but the target 'y' holds bool values"),
        (["a", "b", "c"] * 40, "binary", r"the task is binary, but the target 'y' has 3 classes: 'a', 'b', 'c'\."),
    ],
)
def test_an_impossible_task_is_refused(check: Check, values: list[object], task: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        check(frame(y=values), task=task)


def test_a_target_with_thousands_of_classes_is_refused(check: Check) -> None:
    table = pd.DataFrame({"x": np.arange(2_200) % 7, "y": [f"id-{row // 2}" for row in range(2_200)]})
    with pytest.raises(DataError, match=r"the target 'y' has 1,100 classes, more than 1,000: is it an identifier\?"):
        check(table)


def test_an_unknown_task_is_a_wrong_setting(check: Check) -> None:
    with pytest.raises(ConfigError, match=r"task='binery': need one of auto, .*Did you mean 'binary'"):
        check(frame(), task="binery")


def test_rows_without_a_target_are_counted(check: Check) -> None:
    found = check(frame(y=[None] * 20 + ["a", "b"] * 50))
    assert found.warnings == ("the target 'y' is missing in 20 rows, which will be dropped.",)


def test_a_small_class_is_a_warning(check: Check) -> None:
    found = check(frame(y=["rare"] * 3 + ["a"] * 60 + ["b"] * 57))
    assert found.warnings == ("these classes of the target 'y' have few rows: rare (3 rows).",)


def test_too_few_rows_are_refused_unless_meant(check: Check) -> None:
    with pytest.raises(DataError, match=r"only 40 rows with a target, fewer than 50.*validation\.min_rows"):
        check(frame().head(40))
    assert check(frame().head(40), min_rows=40).rows == 40


# The columns


def test_text_among_numbers_is_refused_with_examples(check: Check) -> None:
    ages: list[object] = [str(row) for row in range(ROWS)]
    ages[4], ages[99], ages[7] = "forty", "?", None
    with pytest.raises(
        DataError,
        match=r"the column 'age' mixes numbers and text: of its 119 values 117 are numbers, the others are not, such "
        r"as 'forty' in row 5, '\?' in row 100 .*validation\.allow_mixed",
    ):
        check(frame(age=ages))
    assert check(frame(age=ages), allow_mixed=("age",)).task == "binary"


@pytest.mark.parametrize(
    "values",
    [
        ["A1", "B2", "3", "C"] * 30,
        ["02134", "10001", "90210", "60601"] * 30,
        ["1,5", "2,5", "x", "y"] * 30,
    ],
)
def test_text_with_few_numbers_or_nothing_but_numbers_is_not_mixed(check: Check, values: list[str]) -> None:
    assert check(frame(code=values)).warnings == ()


@pytest.mark.parametrize(
    ("values", "type_"),
    [
        ([[1, 2]] * ROWS, "list"),
        ([{"a": 1}] * ROWS, "struct"),
        ([b"x"] * ROWS, "binary"),
    ],
)
def test_nested_and_binary_columns_are_refused(check: Check, values: list[object], type_: str) -> None:
    with pytest.raises(DataError, match=rf"the column 'odd' has the type {type_}.*, which cannot be used"):
        check(frame(odd=values))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([None] * ROWS, "the column 'x' has no value; it is left aside."),
        (["same"] * ROWS, "the column 'x' is 'same' in every row; it is left aside."),
        ([np.inf, -np.inf, *range(1, 119)], "the column 'x' holds infinity in 2 rows; there it counts as missing."),
    ],
)
def test_a_column_that_tells_nothing_is_a_warning(check: Check, values: list[object], message: str) -> None:
    assert check(frame(x=values)).warnings == (message,)


@pytest.mark.parametrize("values", [[f"id-{row}" for row in range(ROWS)], list(range(1000, 1000 + ROWS))])
def test_an_identifier_is_a_warning(check: Check, values: list[object]) -> None:
    (text,) = check(frame(x=values)).warnings
    assert text.startswith("the column 'x' differs in every row, like an identifier")


def test_repeated_rows_are_counted(check: Check) -> None:
    table = frame(x=np.random.default_rng(0).normal(size=ROWS))
    (text,) = check(pd.concat([table, table.head(30)])).warnings
    assert text.startswith("30 rows repeat earlier ones")


def test_rows_that_differ_only_in_what_is_missing_are_not_repeated(check: Check) -> None:
    x = [None, *(float(row % 4) for row in range(ROWS - 1))]
    table = frame(x=x, z=np.random.default_rng(0).permutation(ROWS // 2).repeat(2))
    assert not any("repeat" in text for text in check(table).warnings)


# Leaks


@pytest.mark.parametrize(
    ("leak", "how"),
    [
        (lambda y: y, "both hold the same values"),
        (lambda y: [{"yes": 1, "no": 0}[value] for value in y], "one threshold splits the two classes"),
        (
            lambda y: ["spät" if value == "yes" else "früh" for value in y],
            "each of its values goes with one class only",
        ),
        (
            lambda y: [row % 7 + 20 if value == "yes" else -(row % 5) for row, value in enumerate(y)],
            "one threshold splits the two classes",
        ),
    ],
)
def test_a_feature_that_gives_the_class_away_is_a_warning(
    check: Check, leak: Callable[[pd.Series], object], how: str
) -> None:
    table = frame()
    (text,) = check(table.assign(x=leak(table["y"]))).warnings
    assert text.startswith(f"the column 'x' gives the target 'y' away: {how}")


def test_a_feature_that_gives_the_number_away_is_a_warning(check: Check) -> None:
    y = np.random.default_rng(0).normal(size=ROWS)
    (text,) = check(frame(y=y, x=3 - 2 * y)).warnings
    assert text.startswith("the column 'x' gives the target 'y' away: their correlation is -1.000000")


def test_a_strong_feature_is_no_leak(check: Check) -> None:
    generator = np.random.default_rng(0)
    y = generator.normal(size=ROWS)
    assert check(frame(y=y, x=y + generator.normal(size=ROWS) / 10)).warnings == ()


# The rules of the settings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"required": ("siez",)},
            r"validation\.required names 'siez', but there is no such column\. Did you mean 'size'",
        ),
        ({"allow_mixed": ("color",)}, r"validation\.allow_mixed names 'color'.* Did you mean 'colour'"),
        ({"required": ("gap",)}, r"the column 'gap' is required, but missing in 20 rows"),
        ({"max_null_share": 0.1}, r"the column 'gap' is missing in 16\.7% of the rows, more than .* = 10\.0%"),
        ({"unique": ("colour",)}, r"the column 'colour' must be unique, but 120 rows share a value: 'red' in row 1"),
        ({"ranges": {"size": (0, 9)}}, r"the column 'size' leaves its range 0 to 9 in \d+ rows: \S+ in row 5"),
        ({"ranges": {"colour": (0, 9)}}, r"validation\.ranges names 'colour', but its type is string: only numbers"),
        (
            {"allowed": {"colour": ("red", "blue")}},
            r"'colour' has values that are not allowed in 40 rows: 'green' in row",
        ),
    ],
)
def test_a_broken_rule_is_refused(check: Check, settings: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        check(frame(gap=[None] * 20 + [1.0, 2.0] * 50), **settings)


def test_rules_that_hold_pass(check: Check) -> None:
    found = check(
        frame(key=np.random.default_rng(0).permutation(ROWS) * 3, level=[1, 2, None] * 40),
        required=("size",),
        unique=("key",),
        ranges={"size": (0.0, 44.0), "level": (1, 2)},
        allowed={"colour": ("red", "blue", "green"), "level": (1.0, 2.0)},
        max_null_share=0.5,
    )
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"min_rows": 1}, r"min_rows=1: need at least 2"),
        ({"max_null_share": 1.5}, r"max_null_share=1\.5: need a share between 0 and 1"),
        ({"ranges": {"x": (2, 1)}}, r"ranges\['x'\]=\(2, 1\): need \(lowest, highest\)"),
        ({"ranges": {"x": (float("nan"), 1)}}, r"ranges\['x'\]"),
        ({"allowed": {"x": ()}}, r"allowed\['x'\] is empty"),
    ],
)
def test_a_senseless_rule_is_a_wrong_setting(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ValidationConfig(**settings)  # type: ignore[arg-type]


# The report


def test_the_severity_of_a_check_can_be_chosen_everywhere_or_for_one_column(check: Check) -> None:
    table = frame(size=[1.0] * ROWS, same=["x"] * ROWS)
    rules = {"ranges": {"size": (2, 3)}, "unique": ("size", "colour")}
    with pytest.raises(DataError, match="must be unique"):
        check(table, **rules, severity={"ranges": "warning", "unique/size": "warning"})
    warnings = check(table, **rules, severity={"ranges": "warning", "unique": "warning"}).warnings
    assert sum("must be unique" in text for text in warnings) == 2
    assert any("leaves its range" in text for text in warnings)
    with pytest.raises(DataError) as refused:
        check(table, severity={"constant/same": "error"})
    assert "the column 'same'" in str(refused.value) and "the column 'size'" not in str(refused.value)


@pytest.mark.parametrize(
    ("severity", "message"),
    [
        ({"uniqe": "warning"}, "'uniqe', which is no check to choose it for. Did you mean 'unique'"),
        ({"unique/id": "ignore"}, "severity['unique/id']='ignore': need one of error, warning"),
        ({"target": "warning"}, "'target', which is no check"),
    ],
)
def test_a_severity_of_nothing_is_a_wrong_setting(severity: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        ValidationConfig(severity=severity)


def test_all_errors_are_told_at_once_and_the_page_is_written_first(check: Check, tmp_path: Path) -> None:
    table = frame(
        y=["a", "b", "c"] * 40,
        age=["old", *map(str, range(ROWS - 1))],
        tags=[["x"]] * ROWS,
        void=[None] * ROWS,
    )
    with pytest.raises(DataError) as caught:
        check(table, task="binary", ranges={"size": (0, 1)})
    lines = str(caught.value).splitlines()
    assert lines[0] == "The data cannot be used:"
    assert all(line.startswith("  - ") for line in lines[1:])
    named = [re.search(r"the (?:column|task is binary, but the target) '(\w+)'", line) for line in lines[1:]]
    assert sorted(match.group(1) for match in named if match) == ["age", "size", "tags", "y"]
    text = page(tmp_path)
    assert "Refused" in text
    assert "4 errors to correct" in text
    assert "mixes numbers and text" in text
    assert "&#39;void&#39; has no value" in text


def test_the_page_shows_every_column_and_the_source(check: Check, tmp_path: Path) -> None:
    check(frame(when=pd.date_range("2020-03-01", periods=ROWS, freq="h"), flag=[True, None, False] * 40))
    text = page(tmp_path)
    for expected in (
        "colour",
        "red (40)",
        "2020-03-01 to 2020-03-05",
        "timestamp",
        "0 to 43.3333",
        "flag",
        "80.0",
        "Digest",
    ):
        assert expected in text


def test_names_and_values_are_text_in_the_page_never_markup(check: Check, tmp_path: Path) -> None:
    check(frame(**{"<b>x</b>": ["<script>alert(1)</script>", "fine"] * 60}))
    html = (tmp_path / "report.html").read_text()
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)" in html
    assert "<b>x</b>" not in html


def test_the_same_table_gives_the_same_page(check: Check, tmp_path: Path) -> None:
    check(frame())
    first = (tmp_path / "report.html").read_bytes()
    check(frame())
    assert (tmp_path / "report.html").read_bytes() == first


def test_altered_data_are_not_validated(make_raw: MakeRaw, tmp_path: Path) -> None:
    raw = make_raw(frame())
    with (raw / "data" / "table.parquet").open("ab") as file:
        file.write(b"x")
    with pytest.raises(ArtifactError, match=r"has changed since it was written"):
        validate(raw, report=tmp_path / "report.html", target="y")
