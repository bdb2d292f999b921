"""Whole lines of a CSV file without quotes, and the cells in them that have leading zeros."""

import gzip
import io
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ropewalk.data.guess import GuessError

_LONGEST_LINE = 16 * 2**20
_AT_ONCE = 2**17
"""Bytes that are compared at a time: what fits into a processor's cache."""
_ZERO, _NINE, _POINT = ord("0"), ord("9"), ord(".")
_SIGNS = (ord("+"), ord("-"))
_LINE_ENDS = (ord("\n"), ord("\r"))
_BLANKS = tuple(b" \t\v\f")


def whole_lines(stream: gzip.GzipFile | io.BufferedReader, size: int) -> Iterator[bytes]:
    """Yield the lines of a file, `size` bytes and the rest of the last line at a time.

    Raises:
        GuessError: A line has more than 16 MB.
    """
    while block := stream.read(size):
        end = stream.readline(_LONGEST_LINE)
        if len(end) == _LONGEST_LINE:
            raise GuessError
        yield block + end


def leading_zero_columns(lines: bytes, delimiter: str) -> set[int]:
    """Return the places, 0 for the first column, of the columns in which a cell begins with 0 and another digit.

    A sign or blanks may come before the zero. No cell of `lines` may be between quotes.
    """
    content = np.frombuffer(lines, np.uint8)
    zeros = _zeros_after_no_digit(content, ord(delimiter))
    following = content[zeros + 1]
    zeros = zeros[(following >= _ZERO) & (following <= _NINE)]
    starts = zeros - np.isin(content[zeros - 1], _SIGNS)
    # What comes before the first byte does not matter: it is the first cell's beginning.
    before = content[starts - 1]
    is_start = (before == ord(delimiter)) | np.isin(before, (*_LINE_ENDS, *_BLANKS)) | (starts <= 0)
    starts = starts[is_start]
    return set(_columns(content, starts, ord(delimiter)).tolist()) if len(starts) else set()


def _zeros_after_no_digit(content: NDArray[np.uint8], delimiter: int) -> NDArray[np.int64]:
    """Return the places of zeros, but the last byte, before which neither a digit nor a point nor a letter stands."""
    found = [np.flatnonzero(content[:1] == _ZERO)]
    for first in range(0, len(content) - 2, _AT_ONCE):
        part = content[first : min(first + _AT_ONCE, len(content) - 2) + 1]
        before, here = part[:-1], part[1:]
        may_start = before < _POINT
        if delimiter > _POINT:
            may_start |= before == delimiter
        found.append(np.flatnonzero(may_start & (here == _ZERO)) + (first + 1))
    zeros = np.concatenate(found)
    return zeros[zeros + 1 < len(content)]


def _columns(content: NDArray[np.uint8], starts: NDArray[np.int64], delimiter: int) -> NDArray[np.int64]:
    delimiters = np.flatnonzero(content == delimiter)
    ends = np.flatnonzero((content == _LINE_ENDS[0]) | (content == _LINE_ENDS[1]))
    line_starts = np.concatenate([[0], ends + 1])[np.searchsorted(ends, starts)]
    return np.searchsorted(delimiters, starts) - np.searchsorted(delimiters, line_starts)
