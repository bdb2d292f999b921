"""Preprocess a raw table: split it, and learn from the training rows how to read its columns."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ropewalk.artifacts import PREPROCESSOR, RAW_DATA, SPLIT, Manifest, read_artifact, write_artifact
from ropewalk.data.guess import GuessError
from ropewalk.data.tables import TableStream, guess_table, open_table
from ropewalk.errors import ConfigError, DataError, nearest
from ropewalk.preprocess.assignment import (
    NAMES,
    Assigned,
    ByColumn,
    ByHash,
    ByTime,
    RowPrints,
    Rule,
    check_filled,
)
from ropewalk.preprocess.columns import as_numbers, plain
from ropewalk.preprocess.config import IGNORED, PreprocessConfig
from ropewalk.preprocess.function import apply_function, find_function
from ropewalk.preprocess.leaks import SharedPrints, report, target_copies
from ropewalk.preprocess.learning import Learner
from ropewalk.preprocess.meter import RowMeter
from ropewalk.preprocess.picking import pick_parts
from ropewalk.preprocess.preprocessor import Preprocessor, class_names
from ropewalk.preprocess.roles_table import show_roles
from ropewalk.preprocess.splits import SplitWriter, describe_split
from ropewalk.progress import say

TASKS = ("binary", "multiclass", "regression")
_MOST_CLASSES = 10_000


def preprocess(
    data: Path,
    *,
    train: Path,
    validation: Path,
    test: Path,
    preprocessor: Path,
    target: str,
    task: str,
    time_column: str = "",
    config: PreprocessConfig = PreprocessConfig(),
) -> dict[str, Manifest]:
    """Split a raw table and write its three splits and the preprocessor; returns their manifests by name.

    The splits keep the raw columns: the preprocessor is part of the model, so training and serving cannot differ.

    The rows stream by once, in memory that does not grow with their number: which split a row falls into depends on
    the row alone, so statistics of the training rows are gathered while the rows go to their files. A split by time
    reads the times before, and holds them (8 bytes a row). Text files are read by types that their first 4 MB call
    for; where a later row does not fit, all cells are looked at first and the pass starts again.

    Args:
        data: Raw-data artifact: CSV, JSON lines or Parquet, one file or many.
        train: Where to write the split that the model learns from.
        validation: Where to write the split that chooses the best epoch.
        test: Where to write the split that only evaluation sees.
        preprocessor: Where to write the preprocessor.
        target: Column to predict. Rows without it are dropped.
        task: "binary", "multiclass" or "regression".
        time_column: Split by time, oldest rows for training; empty: by a hash of each row.
        config: How rows are split and columns are read.

    Raises:
        ConfigError: A setting names a column or function that is not there, or the task is unknown.
        DataError: The table cannot be split or read, or has a leak that is to fail.
        StorageError: The disk is full.
    """
    if task not in TASKS:
        raise ConfigError(f"task={task!r}: need one of {', '.join(TASKS)}.{nearest(task, TASKS)}")
    if time_column and config.split_column:
        raise ConfigError(
            f"time_column={time_column!r} and preprocess.split_column={config.split_column!r} both say how to split: "
            "leave one empty."
        )
    if config.function:
        find_function(config.function)
    outputs = dict(zip(NAMES, (train, validation, test), strict=True))
    work = _Work(target=target, task=task, time_column=time_column, config=config, outputs=outputs)
    raw = read_artifact(data, RAW_DATA)
    try:
        manifests, learned = _route(guess_table(data), work, raw)
    except GuessError:
        say("a row does not fit the types that the beginning of its file calls for: looking at every cell first")
        manifests, learned = _route(open_table(data), work, raw)
    with write_artifact(preprocessor, PREPROCESSOR, [manifests["train"]]) as draft:
        learned.save(draft.folder)
        draft.facts.update(
            columns=len(learned.used),
            ignored=len(learned.columns) - len(learned.used),
            target=target,
            task=task,
        )
    return {**manifests, "preprocessor": draft.manifest}


@dataclass(frozen=True, kw_only=True)
class _Work:
    """What was asked for."""

    target: str
    task: str
    time_column: str
    config: PreprocessConfig
    outputs: dict[str, Path]

    @property
    def special(self) -> dict[str, str]:
        """Column that a setting names, by setting."""
        named = {
            "time_column": self.time_column,
            "preprocess.key_column": self.config.key_column,
            "preprocess.split_column": self.config.split_column,
        }
        return {setting: name for setting, name in named.items() if name}


def _route(table: TableStream, work: _Work, raw: Manifest) -> tuple[dict[str, Manifest], Preprocessor]:
    """Send every row to its split and return the splits' manifests and what was learned."""
    schema = _schema(table, work.config.function)
    _check_columns(schema.names, work)
    rule = _rule(table, schema, work)
    with ExitStack() as stack:
        drafts = {name: stack.enter_context(write_artifact(path, SPLIT, [raw])) for name, path in work.outputs.items()}
        writers = [stack.enter_context(SplitWriter(draft.folder, table.schema)) for draft in drafts.values()]
        routing = _Routing(schema, work, rule, writers)
        meter = RowMeter("preprocess", table.rows)
        for raw_rows, rows in _batches(table, work.config.function):
            routing.add(raw_rows, rows)
            # What batches have freed would else be held besides what the next ones take.
            pa.default_memory_pool().release_unused()
            meter.advance(rows.num_rows)
        learned = routing.finish(table.schema)
        for (name, draft), writer in zip(drafts.items(), writers, strict=True):
            writer.close()
            describe_split(draft, writer, name, columns=len(table.schema), target=work.target, task=work.task)
    _summarize(writers, meter)
    return {name: draft.manifest for name, draft in drafts.items()}, learned


def _summarize(writers: Sequence[SplitWriter], meter: RowMeter) -> None:
    shares = ", ".join(
        f"{name} {writer.rows:,} rows ({writer.rows / sum(each.rows for each in writers):.1%})"
        for name, writer in zip(NAMES, writers, strict=True)
    )
    say(f"{shares}; {meter.rows:,} rows in {meter.seconds:,.1f} s, {meter.rows / meter.seconds:,.0f} rows/s")


def _schema(table: TableStream, function: str) -> pa.Schema:
    return next(rows for _, rows in _batches(table, function)).schema if function else table.schema


def _batches(table: TableStream, function: str) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
    """Yield raw rows, and the same after the user's function; text is in dictionaries in the latter."""
    if not function:
        for batch in table.encoded_batches():
            yield batch, batch
        return
    schema = None
    for batch in table.batches():
        made = apply_function(function, batch, schema)
        schema = made.schema
        yield batch, _encoded(made)


def _encoded(rows: pa.RecordBatch) -> pa.RecordBatch:
    columns = [cells.dictionary_encode() if pa.types.is_string(cells.type) else cells for cells in rows.columns]
    return pa.record_batch(columns, names=rows.schema.names)


def _check_columns(names: Sequence[str], work: _Work) -> None:
    if work.target not in names:
        raise DataError(
            f"There is no target column {work.target!r}.{nearest(work.target, names)} "
            f"The columns are: {', '.join(names)}."
        )
    for setting, name in work.special.items():
        if name not in names:
            raise ConfigError(f"{setting} names {name!r}, which is no column of the table.{nearest(name, names)}")


def _rule(table: TableStream, schema: pa.Schema, work: _Work) -> Rule:
    config = work.config
    if work.time_column:
        return ByTime(work.time_column, _times(table, work), config)
    if config.split_column:
        return ByColumn(config.split_column)
    features = [name for name in schema.names if name != work.target]
    return ByHash([config.key_column] if config.key_column else features, config)


def _times(table: TableStream, work: _Work) -> pa.ChunkedArray:
    """Return the times of all rows that have a target."""
    name, function = work.time_column, work.config.function
    stream = table if function else table.select(list(dict.fromkeys([name, work.target])))
    meter = RowMeter(f"times in {name!r}", table.rows)
    times, nulls = [], 0
    for _, rows in _batches(stream, function):
        cells = plain(rows.column(name)).filter(_has_target(rows, work))
        nulls += cells.null_count
        times.append(cells)
        meter.advance(rows.num_rows)
    if nulls:
        raise DataError(
            f"The time column {name!r} is empty in {nulls:,} rows, so they have no place in time: fill or drop them."
        )
    return pa.chunked_array(times)


def _has_target(rows: pa.RecordBatch, work: _Work) -> pa.Array:
    values = plain(rows.column(work.target))
    if work.task == "regression":
        try:
            values = as_numbers(values)
        except (DataError, pa.ArrowNotImplementedError) as error:
            raise DataError(
                f"The target {work.target!r} must hold numbers for a regression, and holds {values.type}: {error} "
                "For classes, set the task to binary or multiclass."
            ) from error
    return values.is_valid()


class _Routing:
    """One pass: rows go to their splits, and what is needed of them is gathered."""

    def __init__(self, schema: pa.Schema, work: _Work, rule: Rule, writers: Sequence[SplitWriter]) -> None:
        config = work.config
        self._work, self._rule, self._writers, self._names = work, rule, writers, schema.names
        aside = {config.split_column: "says which split a row falls into"} if config.split_column else {}
        self._learner = Learner(schema, work.target, config, aside)
        self._seen = self._dropped = 0
        self._targets: list[list[pa.Array]] = [[] for _ in NAMES]
        by_key = isinstance(rule, ByHash) and config.key_column
        self._keys = SharedPrints() if config.key_column and not by_key else None
        self._key_prints = RowPrints([config.key_column] if config.key_column else [])
        ignored = {name for name in schema.names if (config.role_of(name) or ("",))[0] == IGNORED}
        self._compared = [name for name in schema.names if name not in {*work.special.values(), *ignored, work.target}]
        # Where rows are split by a hash of all that is compared, equal rows cannot be apart.
        together = isinstance(rule, ByHash) and not work.special and not ignored
        self._rows = None if together or not self._compared else SharedPrints()
        self._row_prints = RowPrints(self._compared)

    def add(self, raw: pa.RecordBatch, rows: pa.RecordBatch) -> None:
        """Send the next rows to their splits."""
        self._seen += rows.num_rows
        has_target = _has_target(rows, self._work)
        if not pc.all(has_target).as_py():
            is_raw = raw is rows
            rows = rows.filter(has_target)
            raw = rows if is_raw else raw.filter(has_target)
            self._dropped = self._seen - sum(writer.rows for writer in self._writers) - rows.num_rows
        assigned = self._rule.assign(rows)
        self._look_for_leaks(rows, assigned)
        places = [np.flatnonzero(assigned == index) for index in range(len(NAMES))]
        parts = pick_parts(rows, places)
        raw_parts = parts if raw is rows else pick_parts(raw, places)
        for index, (part, raw_part) in enumerate(zip(parts, raw_parts, strict=True)):
            self._writers[index].add(raw_part)
            if index == 0:
                self._learner.add(part)
            if self._work.task != "regression":
                self._add_classes(index, part)

    def _look_for_leaks(self, rows: pa.RecordBatch, assigned: Assigned) -> None:
        if self._keys is not None:
            self._keys.add(self._key_prints.of(rows), assigned)
        if self._rows is not None:
            self._rows.add(self._row_prints.of(rows), assigned)

    def _add_classes(self, index: int, part: pa.RecordBatch) -> None:
        cells = part.column(self._work.target)
        if pa.types.is_dictionary(cells.type):
            cells = cells.dictionary.take(cells.indices.unique())
        known = self._targets[index]
        self._targets[index] = [pa.concat_arrays([*known, cells.unique()]).unique()]
        if index == 0 and len(self._targets[index][0]) > _MOST_CLASSES:
            raise DataError(
                f"The target {self._work.target!r} has more than {_MOST_CLASSES:,} classes: for a number, set the task "
                "to regression."
            )

    def finish(self, raw_schema: pa.Schema) -> Preprocessor:
        """Return what was learned, after looking at all that may be wrong."""
        work = self._work
        if self._dropped:
            say(f"dropped {self._dropped:,} of {self._seen:,} rows that have no {work.target!r}")
        check_filled(np.array([writer.rows for writer in self._writers]), self._rule.advice)
        function = work.config.function
        learned = Preprocessor(
            task=work.task,
            target=work.target,
            classes=self._classes(),
            columns=tuple(self._learner.columns()),
            function=function,
            inputs=tuple((field.name, str(field.type)) for field in raw_schema if field.name != work.target)
            if function
            else (),
        )
        show_roles(learned.columns)
        if not learned.used:
            raise DataError("No column is left to learn from: every one was set aside, for the reasons above.")
        for targets in self._targets[1:]:
            for values in targets:
                learned.read_target(values)
        self._report_leaks(learned)
        return learned

    def _classes(self) -> tuple[str, ...]:
        task, target = self._work.task, self._work.target
        if task == "regression":
            return ()
        classes = tuple(class_names(self._targets[0][0].sort()).to_pylist())
        if len(classes) < 2 or (task == "binary" and len(classes) != 2):
            raise DataError(
                f"The training rows hold {len(classes)} class(es) of {target!r} ({', '.join(classes[:10])}), and "
                f"{task} needs {'exactly 2' if task == 'binary' else 'at least 2'}. "
                f"Check the target, the task, or how rows are split."
            )
        return classes

    def _report_leaks(self, learned: Preprocessor) -> None:
        config, target = self._work.config, self._work.target
        for name in target_copies(self._learner.sample, target, [column.name for column in learned.used]):
            report(
                "target_copies",
                config.target_copies,
                f"the column {name!r} is the target {target!r} under another name: their values go one to one. If it "
                "is not known before the outcome, name it in preprocess.ignore.",
            )
        for shared, setting, answer, what, advice in (
            (
                self._keys,
                "shared_keys",
                config.shared_keys,
                f"values of the key {config.key_column!r}",
                "Split by the key (no time_column, no split_column) if new rows will have new keys.",
            ),
            (
                self._rows,
                "repeated_rows",
                config.repeated_rows,
                f"different rows, compared in {len(self._compared)} columns,",
                "Scores on them flatter the model: remove the copies, or give them one key_column.",
            ),
        ):
            for one, other, count in shared.shared() if shared else ():
                about = "about " if shared is not None and shared.one_in > 1 else ""
                report(setting, answer, f"{about}{count:,} {what} are both in {one} and in {other}. {advice}")
