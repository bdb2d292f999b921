"""Turns blocks into one self-contained HTML file: no network, no scripts, light and dark, phone and paper."""

import itertools
import re
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ropewalk import __version__
from ropewalk.artifacts import disk_errors
from ropewalk.report.blocks import CellValue, Fact, Plot, Section, Table, Tone
from ropewalk.report.format import number


def render_page(
    *,
    title: str,
    subtitle: str = "",
    status: tuple[Tone, str, str] | None = None,
    headline: Sequence[Fact] = (),
    sections: Sequence[Section] = (),
    eyebrow: str = "Ropewalk",
    lang: str = "en",
) -> str:
    """Return the page as HTML; the same arguments give the same bytes.

    Args:
        title: The page's heading.
        subtitle: What the page is about: data, target, sizes.
        status: Tone, label and reason of the outcome, shown as a banner.
        headline: Up to four facts shown big.
        sections: Headings with their blocks.
        eyebrow: A few words above the title.
        lang: Language of the texts, as HTML's `lang`.
    """
    environment = Environment(
        loader=PackageLoader("ropewalk", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": number,
        "kind": lambda block: type(block).__name__,
        "right_aligned": right_aligned,
        "drawing": _drawings(),
    }
    css = resources.files("ropewalk.report").joinpath("page.css").read_text(encoding="utf-8")
    return environment.get_template("page.html.jinja").render(
        title=title,
        subtitle=subtitle,
        status=status,
        headline=headline,
        sections=sections,
        eyebrow=eyebrow,
        lang=lang,
        css=Markup(css),  # noqa: S704 (our own file)
        version=__version__,
    )


def write_page(path: Path, html: str) -> None:
    """Write `html` to `path`, whole or not at all.

    Raises:
        StorageError: The disk is full, over quota or read-only.
    """
    partial = path.with_name(f"{path.name}.partial")
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            partial.write_text(html, encoding="utf-8")
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def right_aligned(table: Table) -> set[int]:
    """Return the positions of the columns of numbers."""
    columns = zip(*table.rows, strict=True)
    found = {place for place, cells in enumerate(columns) if _all_numbers(cells)}
    return found | set(table.numeric)


def _all_numbers(cells: Sequence[CellValue]) -> bool:
    filled = [cell for cell in cells if cell is not None]
    return bool(filled) and all(isinstance(cell, int | float) for cell in filled)


def _drawings() -> Callable[[Plot], Markup]:
    numbers = itertools.count(1)
    return lambda plot: Markup(_scoped(plot.svg, f"plot{next(numbers)}-"))  # noqa: S704 (drawn by us)


def _scoped(svg: str, prefix: str) -> str:
    svg = re.sub(r'\bid="', f'id="{prefix}', svg)
    svg = re.sub(r'href="#', f'href="#{prefix}', svg)
    return svg.replace("url(#", f"url(#{prefix}")
