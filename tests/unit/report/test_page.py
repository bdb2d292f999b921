"""A page is one whole HTML file: escaped, self-contained, the same bytes each time, written whole or not at all."""

import errno
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from ropewalk.errors import StorageError
from ropewalk.report import plots
from ropewalk.report.blocks import Cell, Fact, Facts, Plot, Plots, Pre, Section, Table, Text
from ropewalk.report.page import render_page, write_page

VOID = {"meta", "link", "br", "path", "use"}


class Checker(HTMLParser):
    """Collects ids and references, and fails on tags that do not nest."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.headings: list[str] = []
        self.feed(html)
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [value or "" for name, value in attrs if name == "id"]

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def roc_plot() -> Plot:
    x = np.linspace(0, 1, 20)
    lines = [plots.Line(name="This model", x=x, y=x**0.3), plots.Line(name="Other", x=x, y=x**0.5)]
    return Plot(plots.roc(lines, label="ROC curve"), "Area 0.9.", title="ROC curve")


def full_page(text: str = "Fine") -> str:
    return render_page(
        title=text,
        subtitle=text,
        status=("warn", text, text),
        headline=[Fact(text, text, detail=text, title=text)],
        sections=[
            Section(
                text,
                [
                    Text(text),
                    Pre(text, caption=text),
                    Facts([Fact(text, text, href="https://example.org/?a=1&b=2")]),
                    Table(
                        [text, "Rows", "Share", "Mark"],
                        [[text, 1234, 0.5, Cell(text, tone="good", title=text)], [text, None, 2.5, "x"]],
                        caption=text,
                    ),
                    Plots([roc_plot(), Facts([Fact(text, text)]), roc_plot()]),
                    roc_plot(),
                ],
                note=text,
            )
        ],
        eyebrow=text,
    )


def test_a_page_is_well_formed_and_its_ids_are_unique() -> None:
    page = Checker(full_page())
    assert len(page.ids) == len(set(page.ids))
    assert page.headings == ["h1", "h2"]


def test_every_reference_inside_a_drawing_has_its_target() -> None:
    html = full_page()
    wanted = set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', html))
    names = {first or second for first, second in wanted}
    assert names
    assert names <= set(Checker(html).ids)


@pytest.mark.parametrize(
    "evil", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7 * 7 }}", "&amp;"]
)
def test_text_from_outside_stays_text(evil: str) -> None:
    html = full_page(evil)
    Checker(html)
    assert "<script" not in html
    assert "<img" not in html
    assert "49" not in re.sub(r"<svg.*?</svg>|<style>.*?</style>", "", html, flags=re.DOTALL)
    assert html.count("&amp;amp;") >= 10 or evil != "&amp;"


@pytest.mark.parametrize("link", ["javascript:alert(1)", "JavaScript:alert(1)", "data:text/html,x", "vbscript:x"])
def test_links_that_run_code_are_refused(link: str) -> None:
    for block in (Fact, Cell):
        with pytest.raises(ValueError, match="cannot link"):
            block("a", *(["b"] if block is Fact else []), href=link)


@pytest.mark.parametrize(
    "link", ["https://example.org/x", "http://localhost:5000/#/runs", "file:///x.html", "../a.html"]
)
def test_links_to_pages_are_kept(link: str) -> None:
    assert f'href="{link}"' in render_page(title="x", sections=[Section("s", [Facts([Fact("a", "b", href=link)])])])


def test_a_page_asks_the_network_for_nothing() -> None:
    html = full_page().replace("https://example.org/?a=1&amp;b=2", "")
    assert not re.findall(r'(?:src|href)="(?!#|data:,|")[^"]*"|@import|url\((?!#)', html)


def test_the_same_content_gives_the_same_bytes() -> None:
    assert full_page() == full_page()


def test_columns_of_numbers_are_right_aligned_and_absent_values_are_dashes() -> None:
    table = Table(["Name", "Rows", "Note"], [["a", 1200, "x"], ["b", None, "y"]])
    html = render_page(title="t", sections=[Section("s", [table])])
    assert '<td class="number">1,200</td>' in html
    assert re.search(r'<td class="number"><span class="none"[^>]*>\u2013</span></td>', html)
    assert "<td>x</td>" in html


def test_preformatted_columns_are_right_aligned_when_named() -> None:
    table = Table(["Name", "Share"], [["a", "12 %"]], numeric=[1])
    assert '<td class="number">12 %</td>' in render_page(title="t", sections=[Section("s", [table])])


def test_a_table_has_a_caption_and_header_cells_with_a_scope() -> None:
    html = render_page(title="t", sections=[Section("s", [Table(["A", "B"], [["a", "b"]], caption="What is shown")])])
    assert "<caption>What is shown</caption>" in html
    assert '<th scope="col">A</th>' in html
    assert '<th scope="row">a</th>' in html


def test_a_row_of_another_length_than_the_headers_is_refused() -> None:
    with pytest.raises(ValueError, match="1 cells under 2 headers"):
        Table(["A", "B"], [["a"]])


def test_a_page_without_status_headline_or_sections_is_whole() -> None:
    assert Checker(render_page(title="Alone")).headings == ["h1"]


def test_pages_are_written_whole(tmp_path: Path) -> None:
    write_page(tmp_path / "new" / "report", "<p>ü</p>")
    assert (tmp_path / "new" / "report").read_text(encoding="utf-8") == "<p>ü</p>"
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["report"]


def test_a_full_disk_leaves_the_old_page_and_no_half_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "report.html"
    page.write_text("old")

    def full(self: Path, *_: object, **__: object) -> int:
        self.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(StorageError, match="No space left"):
        write_page(page, "new")
    assert page.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [page]


def luminance(colour: str) -> float:
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_have_the_contrast_that_wcag_aa_asks_for(scheme: str) -> None:
    css = Path(plots.__file__).with_name("page.css").read_text()
    blocks = re.findall(r":root \{(.*?)\}", css, flags=re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", blocks[0 if scheme == "light" else 1]))
    for text in ("ink", "muted", "link", "series-1", "series-2"):
        assert contrast(colours[text], colours["surface"]) >= 4.5, text
    for text in ("ink", "muted", "link", "series-1"):
        assert contrast(colours[text], colours["page"]) >= 4.5, text
    for tone in ("good", "warn", "bad", "neutral"):
        assert contrast(colours[tone], colours[f"{tone}-back"]) >= 4.5, tone
        assert contrast(colours["ink"], colours[f"{tone}-back"]) >= 4.5, tone
    for line in ("series-1", "series-2", "series-3", "series-4", "series-5", "series-6", "quiet"):
        assert contrast(colours[line], colours["surface"]) >= 3, line
