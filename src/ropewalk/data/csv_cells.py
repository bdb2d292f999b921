"""Which type a CSV column gets: the first one that fits every cell, as long as no digit is lost."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ropewalk.data.guess import GuessError

_FIRST_CELLS = 100
_INTEGER, _FRACTION = pa.int64(), pa.float64()
_OTHER_TYPES = [pa.bool_(), pa.timestamp("us"), pa.timestamp("us", "UTC")]
_DECIMAL_COMMA = r"^[+-]?[0-9]+(,[0-9]+)?$"
_LONGEST_INTEGER = 2**63
_DIGITS = r"^[+-]?[0-9]+$"
_LEADING_ZERO = r"^[+-]?0[0-9]"


class Cells:
    """Which types fit every cell of a column that was seen so far."""

    def __init__(self, name: str, *, decimal_comma: bool) -> None:
        self.name = name
        self._fits = {_INTEGER, _FRACTION, *_OTHER_TYPES}
        self._decimal_comma = decimal_comma
        self._empty = True
        self._leading_zero = False
        self._only_digits = True
        self._largest = 0.0

    def add(self, cells: pa.Array) -> None:
        """Look at more cells, as text."""
        if cells.null_count == len(cells):
            return
        self._empty = False
        trimmed = pc.ascii_trim_whitespace(cells)
        for kind in tuple(self._fits):
            converted = _cast(trimmed, kind)
            if converted is None:
                self._fits.discard(kind)
            elif kind == _FRACTION:
                self._largest = max(self._largest, pc.max(pc.abs(converted)).as_py())
        self._decimal_comma = self._decimal_comma and _all_match(trimmed, _DECIMAL_COMMA)
        if self._is_number:
            self._leading_zero = self._leading_zero or _any_match(trimmed, _LEADING_ZERO)
            self._only_digits = self._only_digits and _all_match(trimmed, _DIGITS)

    @property
    def _is_number(self) -> bool:
        return _FRACTION in self._fits or self._decimal_comma

    @property
    def kind(self) -> pa.DataType:
        """The first type that fits, as `convert_column` chooses it."""
        if self._empty:
            return pa.null()
        if self._is_number:
            too_long = _INTEGER not in self._fits and self._largest >= _LONGEST_INTEGER
            if self._leading_zero or (too_long and self._only_digits):
                return pa.string()
            return _INTEGER if _INTEGER in self._fits else _FRACTION
        return next((kind for kind in _OTHER_TYPES if kind in self._fits), pa.string())

    def convert(self, cells: pa.Array) -> pa.Array:
        """Return cells that were seen as `kind`."""
        if pa.types.is_null(self.kind):
            return pa.nulls(len(cells))
        if pa.types.is_string(self.kind):
            return cells
        trimmed = pc.ascii_trim_whitespace(cells)
        if self._decimal_comma and _FRACTION not in self._fits:
            trimmed = pc.replace_substring(trimmed, ",", ".")
        return pc.cast(trimmed, self.kind)

    @property
    def has_decimal_comma(self) -> bool:
        """Whether its numbers have decimal commas."""
        return self._decimal_comma and _FRACTION not in self._fits

    @property
    def is_plain(self) -> bool:
        """Whether later cells leave the type as it is if they convert to it, but for leading zeros of numbers."""
        return not self.has_decimal_comma and not self._hangs_on_digits

    @property
    def is_stored_number(self) -> bool:
        """Whether the type is one of numbers."""
        return self.kind in (_INTEGER, _FRACTION)

    @property
    def _hangs_on_digits(self) -> bool:
        """Whether all cells are digits, of which some are no int64: then their length says whether they are text."""
        return self._is_number and self._only_digits and not self._leading_zero and _INTEGER not in self._fits

    def checked(self, cells: pa.Array) -> pa.Array:
        """Return what `convert` does, after making sure that the cells leave the type as it is.

        Raises:
            GuessError: They do not.
        """
        if self._empty and cells.null_count < len(cells):
            raise GuessError
        if self._hangs_on_digits and not self._are_alike(pc.ascii_trim_whitespace(cells)):
            raise GuessError
        if self._empty or not self._is_number or pa.types.is_string(self.kind):
            return self.convert(cells)
        commas = self.has_decimal_comma
        if _has_leading_zero(cells) or (commas and not _all_match(cells, _DECIMAL_COMMA)):
            raise GuessError
        # Few files have spaces around numbers: without them, there is nothing to trim.
        converted = None if commas else _cast(cells, self.kind)
        if converted is not None:
            return converted
        if _has_leading_zero(pc.ascii_trim_whitespace(cells)):
            raise GuessError
        return self.convert(cells)

    def _are_alike(self, trimmed: pa.Array) -> bool:
        if not _all_match(trimmed, _DIGITS):
            return False
        largest = pc.max(pc.abs(pc.cast(trimmed, _FRACTION))).as_py() or 0.0
        return pa.types.is_string(self.kind) or largest < _LONGEST_INTEGER


def convert_column(column: pa.ChunkedArray, *, decimal_comma: bool) -> pa.ChunkedArray:
    """Return a whole column of text as the first type that fits."""
    if column.null_count == len(column):
        return pa.chunked_array([pa.nulls(len(column))])
    trimmed = pc.ascii_trim_whitespace(column)
    numbers = _as_number(trimmed)
    if numbers is None and decimal_comma and _all_match(trimmed, _DECIMAL_COMMA):
        numbers = _cast(pc.replace_substring(trimmed, ",", "."), pa.float64())
    if numbers is not None:
        return column if _is_identifier(trimmed, numbers) else numbers
    for kind in _OTHER_TYPES:
        converted = _cast(trimmed, kind)
        if converted is not None:
            return converted
    return column


def _as_number(column: pa.ChunkedArray) -> pa.ChunkedArray | None:
    whole = _cast(column, pa.int64())
    return _cast(column, pa.float64()) if whole is None else whole


def _is_identifier(text: pa.ChunkedArray, numbers: pa.ChunkedArray) -> bool:
    """Say whether digits would be lost: leading zeros, or more digits than a number keeps."""
    if _any_match(text, _LEADING_ZERO):
        return True
    too_long = pa.types.is_floating(numbers.type) and pc.max(pc.abs(numbers)).as_py() >= _LONGEST_INTEGER
    return bool(too_long) and _all_match(text, _DIGITS)


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray | None:
    """Return the column as `kind`, or None when one cell cannot be."""
    try:
        # Arrow looks at every cell before it gives up: a few tell most columns apart.
        pc.cast(column.slice(0, _FIRST_CELLS), kind)
        return pc.cast(column, kind)
    except pa.ArrowInvalid:
        return None


def _has_leading_zero(texts: pa.Array) -> bool:
    """Say whether any text matches `_LEADING_ZERO`; looks at two or three bytes of each."""
    offsets = np.frombuffer(texts.buffers()[1], dtype=np.int32)[texts.offset : texts.offset + len(texts) + 1]
    if len(texts) == 0 or offsets[0] == offsets[-1]:
        return False
    content = np.frombuffer(texts.buffers()[2], dtype=np.uint8)
    long = np.flatnonzero(np.diff(offsets) >= 2)
    starts, ends = offsets[:-1][long], offsets[1:][long]
    signed = np.isin(content[starts], (ord("+"), ord("-")))
    starts = starts + signed
    zero = (content[starts] == ord("0")) & (starts + 1 < ends)
    following = content[starts[zero] + 1]
    return bool(((following >= ord("0")) & (following <= ord("9"))).any())


def _any_match(column: pa.ChunkedArray, pattern: str) -> bool:
    return bool(pc.any(pc.match_substring_regex(column, pattern)).as_py())


def _all_match(column: pa.ChunkedArray, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(column, pattern)).as_py())
