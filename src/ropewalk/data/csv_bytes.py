"""The bytes of a CSV file, possibly compressed: opened, and checked to be a whole file of UTF-8."""

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ropewalk.errors import DataError

_BLOCK_BYTES = 16 * 2**20


def open_bytes(path: Path) -> gzip.GzipFile | io.BufferedReader:
    """Return the file, open for reading; one whose name ends with .gz is decompressed."""
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")


class QuoteCounter(io.RawIOBase):
    """A file that counts the quotes (") which are read from it."""

    def __init__(self, stream: gzip.GzipFile | io.BufferedReader) -> None:
        self._stream = stream
        self.quotes = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes."""
        block = self._stream.read(size)
        self.quotes += block.count(b'"')
        return block


@contextmanager
def whole_gzip(name: str) -> Iterator[None]:
    """Turn what gzip raises in the block into a DataError that names the file."""
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{name} is not a whole gzip file ({error}). Copy or compress it again.") from error


def count_quotes(path: Path, name: str) -> int:
    """Return how many quotes (") the file has, after checking that it is UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    quotes, offset, line = 0, 0, 1
    with open_bytes(path) as stream:
        while block := stream.read(_BLOCK_BYTES):
            pending = len(decoder.getstate()[0])
            try:
                decoder.decode(block)
            except UnicodeDecodeError as error:
                line += error.object[: error.start].count(b"\n")
                raise DataError(_encoding_message(name, error, offset - pending, line)) from error
            quotes += block.count(b'"')
            offset += len(block)
            line += block.count(b"\n")
    return quotes


def _encoding_message(name: str, error: UnicodeDecodeError, offset: int, line: int) -> str:
    content, start = error.object, error.start
    if offset == 0 and content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return f"{name} is in UTF-16, not UTF-8. Save it as UTF-8."
    before = content[max(start - 20, 0) : start].splitlines() or [b""]
    shown = (before[-1] + content[start : start + 20].splitlines()[0]).decode("latin-1")
    return (
        f"{name} is not in UTF-8: byte {content[start]:#04x} at offset {offset + start} (line {line}, near "
        f"{shown!r}). Save it as UTF-8, for instance with iconv -f LATIN1 -t UTF-8."
    )
