"""What a page is made of: texts, facts, tables and plots. Plain values; `page` turns them into HTML."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

Tone = Literal["good", "warn", "bad", "neutral"]

_LINK_SCHEMES = {"", "http", "https", "file"}


@dataclass(frozen=True)
class Text:
    """One paragraph."""

    text: str


@dataclass(frozen=True)
class Pre:
    """Preformatted lines: a log, a traceback, a command. Long lines scroll inside the block."""

    text: str
    caption: str = field(default="", kw_only=True)
    """One line above it."""


@dataclass(frozen=True)
class Fact:
    """A labelled value."""

    label: str
    value: str
    detail: str = field(default="", kw_only=True)
    """A quiet second line, such as an interval or a unit."""
    title: str = field(default="", kw_only=True)
    """Shown when pointed at: the whole of a shortened value."""
    href: str = field(default="", kw_only=True)
    """Link of the value: http, https, file or relative."""

    def __post_init__(self) -> None:
        check_link(self.href)


@dataclass(frozen=True)
class Facts:
    """Labelled values side by side."""

    facts: Sequence[Fact]
    title: str = field(default="", kw_only=True)
    """What they are of, in a few words, above them."""


@dataclass(frozen=True)
class Cell:
    """A table cell that is more than plain text."""

    text: str
    title: str = field(default="", kw_only=True)
    """Shown when pointed at."""
    tone: Tone | None = field(default=None, kw_only=True)
    """Makes the text a coloured label with a sign that also tells without colour."""
    strong: bool = field(default=False, kw_only=True)
    """Sets the text apart as the best or most important of its row."""
    href: str = field(default="", kw_only=True)
    """Link of the text: http, https, file or relative."""
    detail: str = field(default="", kw_only=True)
    """A quiet addition after the text."""

    def __post_init__(self) -> None:
        check_link(self.href)


CellValue = str | int | float | Cell | None


@dataclass(frozen=True)
class Table:
    """Rows under headers; the first column names the row."""

    headers: Sequence[str]
    rows: Sequence[Sequence[CellValue]]
    caption: str = field(default="", kw_only=True)
    """What the table shows; read aloud before it."""
    numeric: Sequence[int] = field(default=(), kw_only=True)
    """Positions of columns of preformatted numbers; columns of plain numbers are found without it."""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.headers):
                raise ValueError(f"A row has {len(row)} cells under {len(self.headers)} headers: {row!r}.")


@dataclass(frozen=True)
class Plot:
    """A drawing from `plots` with a caption."""

    svg: str
    caption: str
    """How to read it, in a sentence."""
    title: str = field(default="", kw_only=True)
    """What it shows, in a few words."""
    wide: bool = field(default=False, kw_only=True)
    """Takes twice the room; on a phone it scrolls sideways inside its frame."""


@dataclass(frozen=True)
class Plots:
    """Drawings side by side, as many as the screen holds; facts among them are a card of their own."""

    plots: Sequence[Plot | Facts]


Block = Text | Pre | Facts | Table | Plot | Plots


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it."""

    title: str
    blocks: Sequence[Block]
    note: str = field(default="", kw_only=True)
    """One quiet sentence under the heading."""


def check_link(href: str) -> None:
    """Raise ValueError unless `href` is empty, relative, http, https or file: a page must not run code."""
    scheme = urlsplit(href).scheme
    if scheme not in _LINK_SCHEMES:
        raise ValueError(f"A page cannot link to {href!r}: the scheme {scheme!r} is not http, https or file.")
