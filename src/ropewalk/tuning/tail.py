"""Lines of a file that grows."""

from pathlib import Path

_MOST_AT_ONCE = 2**20


class Tail:
    """Gives each whole line once."""

    def __init__(self, path: Path) -> None:
        """Start at the beginning of `path`, which need not be there yet."""
        self._path = path
        self._read = 0
        self._rest = b""

    def lines(self) -> list[str]:
        """Return the lines that have become whole since the last call."""
        try:
            if self._path.stat().st_size <= self._read:
                return []
            with self._path.open("rb") as stream:
                stream.seek(self._read)
                new = stream.read(_MOST_AT_ONCE)
        except FileNotFoundError:
            return []
        self._read += len(new)
        *whole, self._rest = (self._rest + new).split(b"\n")
        return [line.decode(errors="replace") for line in whole]

    def rest(self) -> list[str]:
        """Return all that is left, with a last line that has no line break."""
        found = []
        while new := self.lines():
            found += new
        last, self._rest = self._rest, b""
        return [*found, last.decode(errors="replace")] if last else found


def last_lines(path: Path, count: int) -> tuple[str, ...]:
    """Return the last `count` lines of a log, of at most 64 KiB; none when it is not there."""
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - 2**16))
            content = stream.read().decode(errors="replace")
    except FileNotFoundError:
        return ()
    return tuple(content.splitlines()[-count:])
