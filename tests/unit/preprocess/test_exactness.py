"""The saved preprocessor does to raw columns, in any cut and type, exactly what it did when it was learned."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ropewalk.artifacts import RAW_DATA, write_artifact
from ropewalk.preprocess.config import PreprocessConfig
from ropewalk.preprocess.preprocess import preprocess
from ropewalk.preprocess.preprocessor import FIRST_CATEGORY, MISSING, UNKNOWN, Encoded, Preprocessor, load_preprocessor
from ropewalk.preprocess.splits import open_split, read_split

BUCKETS = {"id": [78, 89, 42, 1, 20, 26, 69, 71], "tag": [2, 1, 7, 50, 2, 59, 40, 90]}
ROWS = 600
HUGE = 2**53
CONFIG = PreprocessConfig(
    categorical=("code",),
    roles={"id": "hashed", "tag": "hashed"},
    hash_buckets=97,
    max_categories=50,
    min_count=2,
    scaling_by_column={"skewed": "quantile", "plain": "standard"},
    impute_by_column={"plain": "mean"},
    datetime_parts=("year", "month", "day", "day_of_week", "hour", "days", "hour_sin", "month_cos", "day_of_year_sin"),
)


def training_rows() -> pa.Table:
    random = np.random.default_rng(0)
    return pa.table(
        {
            "plain": pa.array(random.normal(size=ROWS), mask=random.random(ROWS) < 0.1),
            "skewed": random.lognormal(sigma=4, size=ROWS),
            "endless": random.choice([1.0, -0.0, np.inf, -np.inf, np.nan, 5.0], ROWS),
            "big": pa.array(HUGE + random.integers(-9, 9, ROWS), pa.int64()),
            "few": pa.array([None if row % 9 == 0 else row % 5 for row in range(ROWS)], pa.int64()),
            "city": random.choice(["Zoë", "", " a", "a", "日本", None], ROWS).tolist(),
            "code": random.choice([1.5, -0.0, 0.0, 7.0], ROWS),
            "id": pa.array(HUGE + random.integers(0, ROWS, ROWS), pa.int64()),
            "tag": [f"täg-{value}" for value in random.integers(0, 500, ROWS)],
            "many": [f"m{value}" for value in random.integers(0, 60, ROWS)],
            "flag": random.choice([True, False, None], ROWS).tolist(),
            "local": pa.array(random.integers(-(10**15), 2 * 10**15, ROWS), pa.timestamp("us")),
            "zoned": pa.array(random.integers(0, 2 * 10**15, ROWS), pa.timestamp("us", "Asia/Tokyo")),
            "target": random.choice(["no", "yes"], ROWS),
        }
    )


def adversarial_rows() -> pa.Table:
    columns = {
        "plain": [None, np.inf, -np.inf, np.nan, 1e308, -1e308, -0.0, 5e-324],
        "skewed": [0.0, -1.0, 1e300, np.inf, None, np.nan, 1.0, 2.0],
        "endless": [np.nan, np.inf, None, -0.0, 0.0, 1.0, 5.0, 1e9],
        "big": [HUGE, HUGE + 1, -HUGE - 1, 2**63 - 1, -(2**63), 0, None, 1],
        "few": [None, 0, 4, 5, HUGE + 1, -1, 2**63 - 1, 3],
        "city": ["", None, "Zoe\u0308", "Zoë", "a", " a", "日本", "x" * 5000],
        "code": [0.0, -0.0, 7.0, 8.0, np.nan, None, np.inf, 1.5],
        "id": [HUGE, HUGE + 1, HUGE + 2, None, -1, 0, 2**63 - 1, 7],
        "tag": ["", None, "täg-1", "ta\u0308g-1", "new", "日本", " ", "täg-499"],
        "many": ["m1", "m59", "m999", "", None, "M1", "m1 ", "m2"],
        "flag": [None, True, False, True, None, False, True, False],
        "target": ["yes", "no"] * 4,
    }
    times = [0, None, 9 * 10**15, -9 * 10**15, 86_399_999_999, 951_782_400_000_000, 1, 2]
    schema = training_rows().schema
    table = pa.table({name: pa.array(values, schema.field(name).type) for name, values in columns.items()})
    for name in ("local", "zoned"):
        table = table.append_column(name, pa.array(times, schema.field(name).type))
    return table.select(schema.names)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the whole pipeline over the training rows and, in each split, the adversarial ones."""
    folder = tmp_path_factory.mktemp("exact")
    parts = [*(["train"] * ROWS), *(["train", "validation", "test"] * 8)]
    adversarial = pa.concat_tables([adversarial_rows().slice(row, 1) for row in range(8) for _ in range(3)])
    table = pa.concat_tables([training_rows(), adversarial]).append_column("part", pa.array(parts))
    with write_artifact(folder / "raw", RAW_DATA) as draft:
        (draft.folder / "data").mkdir()
        pq.write_table(table, draft.folder / "data" / "table.parquet", row_group_size=100)
    settings = {**vars(CONFIG), "split_column": "part"}
    paths = {name: folder / name for name in ("train", "validation", "test", "preprocessor")}
    preprocess(folder / "raw", **paths, target="target", task="binary", config=PreprocessConfig(**settings))
    return folder


@pytest.fixture(scope="module")
def learned(folder: Path) -> Preprocessor:
    return load_preprocessor(folder / "preprocessor")


def same(one: Encoded, other: Encoded) -> bool:
    pairs = zip(vars(one).values(), vars(other).values(), strict=True)
    return all(mine.dtype == theirs.dtype and mine.tobytes() == theirs.tobytes() for mine, theirs in pairs)


def stacked(parts: list[Encoded]) -> Encoded:
    return Encoded(*(np.concatenate(arrays) for arrays in zip(*(vars(part).values() for part in parts), strict=True)))


def test_every_role_is_there(learned: Preprocessor) -> None:
    roles = {column.name: column.role for column in learned.columns}
    assert roles == {
        **dict.fromkeys(("plain", "skewed", "endless", "big", "few"), "numeric"),
        **dict.fromkeys(("city", "code"), "categorical"),
        **dict.fromkeys(("id", "tag", "many"), "hashed"),
        **dict.fromkeys(("local", "zoned"), "datetime"),
        "flag": "boolean",
        "part": "ignored",
    }


def test_rows_of_the_splits_encode_as_the_raw_rows_that_they_were(folder: Path, learned: Preprocessor) -> None:
    assert same(learned.encode(read_split(folder / "validation")[0]), learned.encode(adversarial_rows()))
    assert same(learned.encode(read_split(folder / "train")[0].slice(0, ROWS)), learned.encode(training_rows()))


def test_batches_and_single_rows_encode_as_the_whole(folder: Path, learned: Preprocessor) -> None:
    table = read_split(folder / "train")[0]
    whole = learned.encode(table)
    batches = [learned.encode(pa.table(batch)) for batch in open_split(folder / "train").batches()]
    assert same(stacked(batches), whole)
    for size in (1, 7, 100):
        cut = [learned.encode(table.slice(first, size)) for first in range(0, table.num_rows, size)]
        assert same(stacked(cut), whole)


def test_saved_and_loaded_again_it_encodes_to_the_same_bits(learned: Preprocessor, tmp_path: Path) -> None:
    learned.save(tmp_path)
    again = load_preprocessor(tmp_path)
    assert again == learned
    assert same(again.encode(adversarial_rows()), learned.encode(adversarial_rows()))


def test_everything_encoded_is_finite_and_every_code_has_its_place(learned: Preprocessor) -> None:
    encoded = learned.encode(adversarial_rows())
    assert np.isfinite(encoded.numbers_BN).all()
    assert encoded.codes_BC.min() >= 0
    for codes, coded in zip(encoded.codes_BC.T, learned.coded, strict=True):
        assert codes.max() < len(coded.vocabulary) + FIRST_CATEGORY


def retyped(table: pa.Table, **columns: pa.DataType) -> pa.Table:
    for name, kind in columns.items():
        place = table.schema.get_field_index(name)
        table = table.set_column(place, name, table[name].cast(kind, safe=False))
    return table


def test_other_arrow_types_of_the_same_values_encode_alike(learned: Preprocessor) -> None:
    rows = adversarial_rows()
    plain = learned.encode(rows)
    text = pa.dictionary(pa.int32(), pa.string())
    other = retyped(
        rows,
        **dict.fromkeys(("city", "tag", "many"), text),
        zoned=pa.timestamp("us", "America/New_York"),
        local=pa.timestamp("us"),
        flag=pa.int8(),
    )
    assert same(learned.encode(other), plain)
    assert same(learned.encode(retyped(rows, city=pa.large_string(), id=pa.string())), plain)


@pytest.mark.parametrize(
    ("column", "values", "codes"),
    [
        ("city", ["nowhere", None, ""], [UNKNOWN, MISSING, None]),
        ("few", [99, None, 2], [UNKNOWN, MISSING, None]),
        ("code", [99.0, np.nan, -0.0], [UNKNOWN, MISSING, None]),
        ("id", [-5, None, HUGE + 1], [None, MISSING, None]),
    ],
)
def test_new_and_absent_categories_have_codes_of_their_own(
    learned: Preprocessor, column: str, values: list, codes: list
) -> None:
    rows = adversarial_rows().slice(0, 3)
    place = rows.schema.get_field_index(column)
    rows = rows.set_column(place, column, pa.array(values, rows.schema.field(column).type))
    coded = [each.name for each in learned.used if each.categories is not None]
    found = learned.encode(rows).codes_BC[:, coded.index(column)].tolist()
    for code, expected in zip(found, codes, strict=True):
        assert code == expected if expected is not None else code >= FIRST_CATEGORY


def test_hash_buckets_never_change(learned: Preprocessor) -> None:
    """These numbers are part of the format: a model in use must find its buckets again."""
    rows = adversarial_rows()
    coded = [each.name for each in learned.used if each.categories is not None]
    codes = learned.encode(rows).codes_BC
    found = {name: codes[:, coded.index(name)].tolist() for name in ("id", "tag")}
    assert found == BUCKETS


def test_whole_numbers_above_two_to_the_53_keep_their_own_buckets(learned: Preprocessor) -> None:
    rows = adversarial_rows()
    codes = learned.encode(rows).codes_BC[:3, [c.name for c in learned.used if c.categories is not None].index("id")]
    assert len(set(codes.tolist())) == 3


def test_time_zones_are_read_as_the_same_moment(learned: Preprocessor) -> None:
    moment = datetime(2024, 2, 29, 23, 30, tzinfo=UTC)
    numbers = []
    for zone in ("UTC", "Asia/Tokyo", "America/St_Johns"):
        rows = adversarial_rows().slice(0, 1)
        place = rows.schema.get_field_index("zoned")
        numbers.append(
            learned.encode(rows.set_column(place, "zoned", pa.array([moment], pa.timestamp("us", zone)))).numbers_BN
        )
    assert (numbers[0] == numbers[1]).all()
    assert (numbers[0] == numbers[2]).all()


def test_serving_from_a_data_frame_gives_the_same_bits(learned: Preprocessor) -> None:
    from ropewalk.registry.frames import to_table

    rows = adversarial_rows()
    frame = rows.to_pandas()
    objects = pd.DataFrame({name: pd.Series(rows[name].to_pylist(), dtype=object) for name in rows.column_names})
    plain = learned.encode(rows)
    assert same(learned.encode(to_table(objects, learned.takes)), plain)
    numbers = [name for name in rows.column_names if name not in ("big", "id", "few")]
    frame[["big", "id", "few"]] = objects[["big", "id", "few"]]
    assert same(learned.encode(to_table(frame[[*numbers, "big", "id", "few"]], learned.takes)), plain)
