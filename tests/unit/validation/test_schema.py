"""Schemas: what they refuse, that pandera agrees with every verdict, and what is inferred."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner
from pandera.errors import SchemaErrors

from ropewalk.cli import cli
from ropewalk.data.tables import open_table
from ropewalk.errors import ConfigError, DataError
from ropewalk.validation.config import ValidationConfig
from ropewalk.validation.scan import check_rules
from ropewalk.validation.schema import read_schema
from ropewalk.validation.schema_infer import infer_schema, write_schema
from ropewalk.validation.schema_rules import rules_of_schema
from ropewalk.validation.validate import validate

MakeRaw = Callable[..., Path]
ROWS = 120


def houses(**columns: object) -> pd.DataFrame:
    rows = np.arange(ROWS)
    base = {
        "size": rows * 7 % 131 / 3,
        "rooms": rows % 6,
        "colour": [("red", "blue", "green")[row * 11 % 3] for row in rows],
        "built": pd.Timestamp("2024-01-01") + pd.to_timedelta(rows * 37 % 120, unit="h"),
        "y": ["no" if row % 5 else "yes" for row in rows],
    }
    return pd.DataFrame({**base, **columns})


def column(name: str, text: str) -> str:
    return f"columns:\n  {name}: {{{text}}}\n"


def compared(left: str, op: str, right: str) -> str:
    return f"checks: [{{left: {left}, op: {op!r}, right: {right}, options: {{check_name: compare_columns}}}}]"


def found(raw: Path, tmp_path: Path, **settings: object) -> tuple[str, str]:
    """Return the errors and the warnings."""
    report = tmp_path / "report.html"
    try:
        passed = validate(raw, report=report, target="y", config=ValidationConfig(**settings))  # type: ignore[arg-type]
    except DataError as error:
        return str(error), ""
    return "", "\n".join(passed.warnings)


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        (column("size", "dtype: int64"), r"'size' has the type double, but the schema table\.schema\.yaml wants int64"),
        (column("rooms", "dtype: str"), r"'rooms' has the type int64, but the schema table\.schema\.yaml wants"),
        (column("garden", "dtype: bool"), r"wants a column 'garden', there is none"),
        (column("sise", "dtype: float64"), r"wants a column 'sise', there is none\. Did you mean 'size'"),
        (
            column("rooms", "dtype: int64, in_range: {min_value: 0, max_value: 4}"),
            r"'rooms' breaks the schema table\.schema\.yaml \(0 to 4\) in 20 rows: 5 in row 6, 5 in row 12",
        ),
        (column("rooms", "dtype: int64, greater_than: 0"), r"\(> 0\) in 20 rows: 0 in row 1"),
        (column("rooms", "dtype: int64, less_than_or_equal_to: 4"), r"\(at most 4\) in 20 rows"),
        (column("built", "greater_than: '2024-01-02'"), r"\(> 2024-01-02 00:00:00\) in 25 rows"),
        (column("colour", "dtype: str, isin: [red, blue]"), r"\(one of red, blue\) in 40 rows: 'green' in row 2"),
        (column("colour", "dtype: str, notin: [red]"), r"\(none of red\) in 40 rows: 'red' in row 1"),
        (column("colour", "dtype: str, str_length: {max_value: 4}"), r"\(0 to 4 characters\) in 40 rows: 'green'"),
        (column("colour", "dtype: str, str_matches: 'r|b'"), r"\(matches r\|b\) in 40 rows: 'green'"),
        (column("colour", "dtype: str, unique: true"), r"\(every value once\) in 120 rows: 'red' in row 1"),
        ("columns: {y: {}}\nstrict: true\n", r"the column 'size' is not in the schema"),
        (
            "columns: {rooms: {}, size: {}}\n" + compared("rooms", "<=", "size"),
            r"the columns 'rooms' and 'size' break the schema .* \(rooms <= size\) in \d+ rows: \d, [\d.]+ in row \d",
        ),
        ("columns: {rooms: {}}\nunique: [rooms, colour]\n", r"\(every combination once\) in 120 rows"),
    ],
)
def test_a_table_that_breaks_its_schema_is_refused(
    make_raw_with_schema: MakeRaw, tmp_path: Path, schema: str, message: str
) -> None:
    errors, _ = found(make_raw_with_schema(houses(), schema), tmp_path)
    assert re.search(message, errors), errors


def test_missing_values_break_a_column_that_is_not_nullable_and_pass_every_check_of_one_that_is(
    make_raw_with_schema: MakeRaw, tmp_path: Path
) -> None:
    table = houses(gap=[None] * 20 + [1.0, 2.0] * 50)
    errors, _ = found(make_raw_with_schema(table, column("gap", "dtype: float64")), tmp_path)
    assert "(no value missing) in 20 rows: nothing in row 1" in errors
    nullable = column("gap", "dtype: float64, nullable: true, isin: [1, 2]")
    assert found(make_raw_with_schema(table, nullable), tmp_path) == ("", "")
    share = column("gap", "nullable: true, max_null_share: {share: 0.1}")
    assert "missing in 16.7% of the rows, more than 10.0%" in found(make_raw_with_schema(table, share), tmp_path)[0]


def test_a_check_that_warns_does_not_refuse(make_raw_with_schema: MakeRaw, tmp_path: Path) -> None:
    schema = column("rooms", "dtype: int64, less_than: {max_value: 5, raise_warning: true}")
    errors, warnings = found(make_raw_with_schema(houses(), schema), tmp_path)
    assert errors == ""
    assert "'rooms' breaks the schema table.schema.yaml (< 5) in 20 rows" in warnings


def test_the_settings_go_before_the_file(make_raw_with_schema: MakeRaw, tmp_path: Path) -> None:
    raw = make_raw_with_schema(houses(), column("garden", "dtype: bool"))
    inline = {"columns": {"rooms": {"dtype": "int64", "in_range": {"min_value": 0.0, "max_value": 9.0}}}}
    assert found(raw, tmp_path, schema=inline) == ("", "")


def test_five_example_rows_at_most_are_on_the_page(make_raw_with_schema: MakeRaw, tmp_path: Path) -> None:
    found(make_raw_with_schema(houses(), column("colour", "isin: [red]")), tmp_path)
    text = re.sub(r"<[^>]+>", " ", (tmp_path / "report.html").read_text())
    assert "Broken rules" in text
    assert "broken in 80" in text
    assert "in row 8" in text
    assert "in row 9" not in text


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ("columns: [", r"is not YAML"),
        ("just text", r"not a mapping with `columns`"),
        ("columns: {}", r"columns: name the columns"),
        ("columns: {x: {in_rang: 3}}", r"columns\.x: 'in_rang' is not known .* Did you mean 'in_range'"),
        ("columns: {x: {checks: {eval: '1'}}}", r"there is no check 'eval'"),
        ("columns: {x: {checks: [{value: 1, options: {check_name: __init__}}]}}", r"there is no check '__init__'"),
        ("columns: {x: {coerce: true}}", r"'coerce' is not known or not enforced"),
        ("columns: {x: {isin: {allowed_values: [1], ignore_na: false}}}", r"options that are not enforced: ignore_na"),
        ("columns: {x: {dtype: nonsense}}", r"pandera cannot read it"),
        ("columns: {x: 3}", r"columns\.x: need a mapping"),
        ("columns: {x: {}}\ncompare_columns: {left: x, op: <, right: x}", r"the table: 'compare_columns' is not known"),
        ("columns: {x: {}}\nchecks: [{value: 1, options: {check_name: isin}}]", r"the table: there is no check 'isin'"),
    ],
)
def test_a_schema_that_cannot_be_enforced_is_a_wrong_setting(schema: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_schema(schema, place="table.schema.yaml")


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        (column("colour", "greater_than: 3"), r"columns\.colour: greater_than compares numbers or times"),
        (column("rooms", "str_contains: a"), r"columns\.rooms: str_contains is a check of text"),
        (column("rooms", "greater_than: a"), r"need a number, found 'a'"),
        (column("built", "greater_than: soon"), r"need a time such as .*found 'soon'"),
        (column("colour", "str_matches: '(?=a)'"), r"is not a pattern of RE2"),
        ("columns: {y: {}}\n" + compared("y", "<=", "size"), r"'y' \(string\) and 'size' \(double\)"),
        ("columns: {y: {}}\n" + compared("y", "lt", "colour"), r"op='lt': need one of <, <=, ==, !=, >"),
    ],
)
def test_a_check_that_does_not_fit_its_column_is_a_wrong_setting(
    make_raw_with_schema: MakeRaw, tmp_path: Path, schema: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        found(make_raw_with_schema(houses(), schema), tmp_path)


def test_two_schemas_are_one_too_many(make_raw_with_schema: MakeRaw, tmp_path: Path) -> None:
    raw = make_raw_with_schema(houses(), "columns: {y: {}}")
    (raw / "data/other.schema.yaml").write_text("columns: {y: {}}")
    with pytest.raises(DataError, match=r"several schemas: other\.schema\.yaml, table\.schema\.yaml"):
        open_and_find(raw)


def open_and_find(raw: Path) -> object:
    from ropewalk.validation.schema import find_schema

    return find_schema(raw, {})


# Pandera as the oracle


def random_table(random: np.random.Generator) -> pd.DataFrame:
    rows = int(random.integers(1, 40))

    def gaps(values: pd.Series) -> pd.Series:
        return values.mask(random.random(rows) < random.choice([0, 0, 0.2]))

    return pd.DataFrame(
        {
            "whole": gaps(pd.Series(random.integers(-3, 12, rows), dtype="Int64")),
            "other": gaps(pd.Series(random.integers(-3, 12, rows), dtype="Int64")),
            "number": gaps(pd.Series(random.normal(0, 2, rows).round(1), dtype="float64")),
            "text": gaps(pd.Series(random.choice(["a", "ab", "abc", "é", "B1", ""], rows), dtype="str")),
            "flag": gaps(pd.Series(random.random(rows) < 0.5, dtype="boolean")),
            "when": gaps(
                pd.Series(pd.Timestamp("2024-01-01") + pd.to_timedelta(random.integers(0, 9, rows), unit="D"))
            ),
        }
    )


def random_schema(random: np.random.Generator) -> str:
    def pick(*values: object) -> object:
        return values[int(random.integers(len(values)))]

    low, high = sorted(int(value) for value in random.choice(np.arange(-5, 14), 2, replace=False))
    bounds = {
        "min_value": low,
        "max_value": high,
        "include_min": random.random() < 0.5,
        "include_max": random.random() < 0.5,
    }
    day = str(pd.Timestamp("2024-01-01") + pd.Timedelta(days=int(random.integers(0, 9))))
    columns = {
        "whole": {
            "dtype": "Int64",
            str(pick("greater_than", "less_than", "greater_than_or_equal_to", "less_than_or_equal_to")): low,
            "in_range": bounds,
            "unique": bool(random.random() < 0.1),
        },
        "number": {"dtype": "float64", "in_range": bounds, str(pick("equal_to", "not_equal_to")): 0.5},
        "text": {
            "dtype": "str",
            str(pick("isin", "notin")): list(pick(["a", "ab", "abc", "é", "B1", ""], ["B1"], ["x"])),  # type: ignore[call-overload]
            str(pick("str_matches", "str_contains")): pick("a", "[a-zé]*", "b$", ".", "^a"),
            str(pick("str_startswith", "str_endswith")): pick("", "a", "1"),
            "str_length": {"min_value": int(random.integers(0, 3)), "max_value": int(random.integers(2, 4))},
        },
        "flag": {"dtype": "boolean", "isin": pick([True], [True, False])},
        "when": {"dtype": "datetime64[us]", str(pick("greater_than", "less_than_or_equal_to")): day},
    }
    for name, options in columns.items():
        options["nullable"] = bool(random.random() < 0.7)
        if random.random() < 0.5:
            columns[name] = {key: options[key] for key in ("dtype", "nullable")}
    content: dict[str, object] = {"schema_type": "dataframe", "columns": columns}
    if random.random() < 0.3:
        op = str(pick("<", "<=", "==", "!=", ">", ">="))
        content["checks"] = [
            {"left": "whole", "op": op, "right": "other", "options": {"check_name": "compare_columns"}}
        ]
    if random.random() < 0.1:
        content["unique"] = ["whole", "text"]
    return yaml.safe_dump(content)


@pytest.mark.parametrize("seed", range(60))
def test_pandera_gives_the_same_verdict_for_each_column_and_check(make_raw: MakeRaw, seed: int) -> None:
    random = np.random.default_rng(seed)
    schema = read_schema(random_schema(random), place="schema")
    table = random_table(random)
    stream = open_table(make_raw(table))
    broken = check_rules(stream, rules_of_schema(schema, stream.schema))
    ours = {(rule.rule.columns, rule.rule.name.removeprefix("schema: ")): rule.rows for rule in broken}
    theirs = panderas(schema.schema, table)
    assert ours.keys() == theirs.keys()
    # Pandera does not count the missing values among those that are there twice.
    assert {key: rows for key, rows in ours.items() if key[1] != "unique"} == {
        key: rows for key, rows in theirs.items() if key[1] != "unique"
    }


def panderas(schema: object, table: pd.DataFrame) -> dict[tuple[tuple[str, ...], str], int]:
    """Return how many rows break each rule, by pandera, under the names that our rules have."""
    try:
        schema.validate(table, lazy=True)  # type: ignore[attr-defined]
    except SchemaErrors as errors:
        cases = errors.failure_cases
    else:
        return {}
    found: dict[tuple[tuple[str, ...], str], set[object]] = {}
    for case in cases.to_dict("records"):
        name = re.sub(r"\(.*", "", str(case["check"]), flags=re.DOTALL)
        name = {"not_nullable": "nullable", "field_uniqueness": "unique", "multiple_fields_uniqueness": "unique"}.get(
            name, name
        )
        columns = (str(case["column"]),)
        if case["schema_context"] == "DataFrameSchema":
            columns = ("whole", "text") if name == "unique" else ("whole", "other")
        found.setdefault((columns, name), set()).add(case["index"])
    return {key: len(rows) for key, rows in found.items()}


# Inference


def test_a_table_meets_the_schema_inferred_from_it(
    make_raw: MakeRaw, make_raw_with_schema: MakeRaw, tmp_path: Path
) -> None:
    table = houses(
        gap=[None, 1.5, -2.0] * 40,
        flag=[True, False] * 60,
        zoned=pd.date_range("2024-01-01", periods=ROWS, tz="UTC"),
        name=[f"n{row:03}" for row in range(ROWS)],
    )
    text = infer_schema(make_raw(table))
    assert found(make_raw_with_schema(table, text, "again"), tmp_path)[0] == ""
    columns = yaml.safe_load(text)["columns"]
    assert columns["rooms"] == {
        "dtype": "int64",
        "in_range": {"min_value": 0, "max_value": 6, "include_min": True, "include_max": True},
    }
    assert columns["gap"]["nullable"] is True
    assert columns["gap"]["in_range"]["min_value"] == pytest.approx(-2.35)
    assert columns["colour"] == {"dtype": "str", "isin": ["blue", "green", "red"]}
    assert columns["name"] == {"dtype": "str", "unique": True}
    assert columns["built"] == {"dtype": "datetime64[us]"}
    assert columns["zoned"] == {"dtype": "datetime64[us, UTC]"}


def test_the_inferred_schema_refuses_a_table_that_differs(
    make_raw: MakeRaw, make_raw_with_schema: MakeRaw, tmp_path: Path
) -> None:
    text = infer_schema(make_raw(houses()))
    worse = houses(size=np.arange(ROWS) * 7 % 131 * 9.0, colour=["purple", "red"] * 60)
    errors, _ = found(make_raw_with_schema(worse, text, "worse"), tmp_path)
    assert "'size' breaks the schema" in errors
    assert "'purple' in row 1" in errors


def test_the_command_writes_a_schema_with_directions_and_keeps_one_that_is_there(tmp_path: Path) -> None:
    data, output = tmp_path / "houses.csv", tmp_path / "houses.schema.yaml"
    houses().to_csv(data, index=False)
    ended = CliRunner().invoke(cli, ["schema", "infer", str(data), "--output", str(output)])
    assert ended.exit_code == 0, ended.output
    assert output.read_text().startswith("# What houses.csv must look like")
    assert read_schema(output.read_text(), place="it").schema.columns["rooms"].dtype is not None
    with pytest.raises(ConfigError, match=r"is there already: it may have been edited"):
        write_schema(data, output)
    printed = CliRunner().invoke(cli, ["schema", "infer", str(data)])
    assert printed.output == output.read_text()


def test_a_schema_of_nothing_cannot_be_inferred(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"There is no file or folder"):
        infer_schema(tmp_path / "none.csv")
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(DataError, match=r"notes\.txt is no table"):
        infer_schema(tmp_path / "notes.txt")
