"""The evaluation page as a browser shows it: on a desk, on a phone, in the dark and on paper."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ropewalk.artifacts import CHAMPION, write_artifact
from ropewalk.evaluation.config import EvaluationConfig
from ropewalk.evaluation.evaluate import evaluate
from ropewalk.report.blocks import Cell, Fact, Facts, Plot, Plots, Pre, Section, Table, Text
from ropewalk.report.page import render_page, write_page
from ropewalk.report.plots import bars

TASKS = ("binary", "multiclass", "regression")
WIDTHS = (1280, 768, 390, 360)

FAINT_TEXTS = """(() => {
    const numbers = colour => colour.match(/[\\d.]+/g).map(Number);
    const luminance = colour => { const [r, g, b] = numbers(colour).slice(0, 3).map(each => each / 255)
        .map(each => each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
    const behind = each => { for (; each; each = each.parentElement) {
        const back = getComputedStyle(each).backgroundColor;
        if (numbers(back).length < 4 || numbers(back)[3] > 0) return back; }
        return "rgb(255, 255, 255)"; };
    return [...document.querySelectorAll("body *")]
        .filter(each => [...each.childNodes].some(node => node.nodeType === 3 && node.textContent.trim()))
        .filter(each => !["STYLE", "SCRIPT"].includes(each.tagName))
        .map(each => { const style = getComputedStyle(each);
            const front = each.ownerSVGElement ? style.fill : style.color;
            const [one, two] = [luminance(front), luminance(behind(each))];
            return [(Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05), each.textContent.trim().slice(0, 40)]; })
        .filter(([ratio]) => ratio < 4.5);
})()"""
"""Texts whose contrast to what is behind them is below 4.5 (WCAG 2.2, 1.4.3); plots have a clear background."""


@pytest.fixture(scope="module")
def pages(fitted: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    folder = tmp_path_factory.mktemp("pages")
    (folder / "pipeline.yaml").write_text("    image: registry.example.org/machine-learning/ropewalk-steps:0.1.0\n")
    given = {"data": "https://git.example.org/houses.git", "config": {"training": {"architecture": "tabular"}}}
    (folder / "run.json").write_text(json.dumps({"pipeline": "training", "parameters": given}))
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("ROPEWALK_RUN_DIR", str(folder))
        patched.setenv("ROPEWALK_RUN_ID", "training-20260101-120000-1234")
        yield evaluated_pages(fitted, folder)


def evaluated_pages(fitted: Callable[[str], Path], folder: Path) -> dict[str, Path]:
    for task in TASKS:
        made = fitted(task)
        with write_artifact(folder / f"{task}-champion", CHAMPION) as draft:
            shutil.copytree(fitted(task, "linear") / "model", draft.folder / "model")
            draft.facts.update(name="measured", version="3", run_id="", digest="", problem="")
        wanted = {"false_positive": 1.0, "false_negative": 5.0} if task == "binary" else {}
        evaluate(
            made / "model",
            train=made / "train",
            test=made / "test",
            evaluation=folder / task,
            report=folder / f"{task}.html",
            champion=folder / f"{task}-champion",
            config=EvaluationConfig(confidence_resamples=200, slice_rows=20, threshold=wanted, row_milliseconds=1e-3),
        )
    return {task: folder / f"{task}.html" for task in TASKS}


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_sticks_out_sideways(browser: Any, pages: dict[str, Path], task: str, width: int) -> None:
    browser.open(pages[task], width=width)
    assert browser.run("document.documentElement.scrollWidth") <= width
    too_wide = """[...document.querySelectorAll("h1, h2, p, dl, figure, figcaption, .scroll")]
        .filter(each => each.getBoundingClientRect().right > innerWidth + 0.5)
        .map(each => each.outerHTML.slice(0, 80))"""
    assert browser.run(too_wide) == []


@pytest.mark.parametrize("width", WIDTHS)
def test_names_without_a_space_do_not_stick_out(browser: Any, tmp_path: Path, width: int) -> None:
    name = "a_column_whose_name_goes_on_and_on_" * 8
    blocks = [
        Facts([Fact(name, name, detail=name, href=f"https://example.org/{name}")]),
        Table([name, "B"], [[name, name], [Cell(name, tone="bad"), Cell(name, detail=name)]], caption=name),
        Plots([Plot(bars([name], [1], label=name), name, title=name), Facts([Fact(name, name)])]),
        Pre(name, caption=name),
        Text(name),
    ]
    section = Section(name, blocks, note=name)
    html = render_page(
        title=name, subtitle=name, status=("bad", name, name), headline=[Fact(name, name)], sections=[section]
    )
    write_page(tmp_path / "page.html", html)
    browser.open(tmp_path / "page.html", width=width)
    assert browser.run("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("task", TASKS)
def test_the_browser_has_no_complaint_and_asks_for_nothing_else(
    browser: Any, pages: dict[str, Path], task: str
) -> None:
    browser.open(pages[task], width=1280)
    assert browser.complaints() == []
    assert browser.requests() == [pages[task].as_uri()]


@pytest.mark.parametrize("task", TASKS)
def test_every_plot_is_drawn_and_named(browser: Any, pages: dict[str, Path], task: str) -> None:
    browser.open(pages[task], width=1280)
    drawn = browser.run(
        """[...document.querySelectorAll("figure svg")].map(each =>
        [each.getAttribute("role"), each.getAttribute("aria-label"), each.getBoundingClientRect().height])"""
    )
    assert len(drawn) >= 4
    assert all(role == "img" and label and height > 150 for role, label, height in drawn)


@pytest.mark.parametrize("width", WIDTHS)
def test_text_in_plots_is_large_enough_to_read(browser: Any, pages: dict[str, Path], width: int) -> None:
    browser.open(pages["binary"], width=width)
    smallest = """Math.min(...[...document.querySelectorAll("figure svg text")].map(each =>
        parseFloat(getComputedStyle(each).fontSize) * Math.hypot(each.getScreenCTM().a, each.getScreenCTM().b)))"""
    assert browser.run(smallest) >= 9.5


def test_labels_in_plots_stay_inside_their_drawing(browser: Any, pages: dict[str, Path]) -> None:
    for page in pages.values():
        browser.open(page, width=1280)
        outside = """[...document.querySelectorAll("figure svg")].flatMap(svg => {
            const box = svg.getBoundingClientRect();
            return [...svg.querySelectorAll("text")].filter(each => { const own = each.getBoundingClientRect();
                return own.left < box.left - 2 || own.right > box.right + 2 || own.bottom > box.bottom + 2; })
            .map(each => each.textContent) })"""
        assert browser.run(outside) == []


def test_the_dark_scheme_is_dark_also_inside_plots(browser: Any, pages: dict[str, Path]) -> None:
    seen = {}
    for scheme in ("light", "dark"):
        browser.open(pages["binary"], width=1280, scheme=scheme)
        seen[scheme] = browser.run(
            """[getComputedStyle(document.body).backgroundColor,
            getComputedStyle(document.querySelector("figure svg text")).fill]"""
        )
    assert brightness(seen["light"][0]) > 230 > 100 > brightness(seen["light"][1])
    assert brightness(seen["dark"][0]) < 40 < 150 < brightness(seen["dark"][1])


@pytest.mark.parametrize("task", TASKS)
def test_every_part_that_scrolls_can_be_reached_by_keyboard(browser: Any, pages: dict[str, Path], task: str) -> None:
    browser.open(pages[task], width=360)
    stuck = """[...document.querySelectorAll("main *")].filter(each => each.scrollWidth > each.clientWidth + 1
        && ["auto", "scroll"].includes(getComputedStyle(each).overflowX) && each.tabIndex < 0).length"""
    assert browser.run(stuck) == 0


@pytest.mark.parametrize("width", WIDTHS)
def test_the_decision_stands_above_everything_that_it_rests_on(
    browser: Any, pages: dict[str, Path], width: int
) -> None:
    browser.open(pages["binary"], width=width)
    headings = browser.run("""[...document.querySelectorAll("h2")].map(each => each.textContent)""")
    assert headings[:3] == ["Decision", "Comparison", "On the test rows"]
    assert {"Chosen threshold", "Slices", "What columns are worth", "Speed and size"} <= set(headings)
    shown = """(() => { const box = document.querySelector(".status").getBoundingClientRect();
        return [box.bottom <= innerHeight, box.right <= innerWidth]; })()"""
    assert browser.run(shown) == [True, True]
    assert browser.run("""document.querySelector(".status strong").textContent""") == "Hold"


@pytest.mark.parametrize("width", WIDTHS)
def test_whether_a_rule_is_met_is_seen_without_scrolling_sideways(
    browser: Any, pages: dict[str, Path], width: int
) -> None:
    browser.open(pages["binary"], width=width)
    cut = """[...document.querySelectorAll("section:first-of-type .pill")]
        .filter(each => each.getBoundingClientRect().right > each.closest(".scroll").getBoundingClientRect().right
            || each.getBoundingClientRect().height > 30).length"""
    assert browser.run(cut) == 0
    told = browser.run(
        """[...document.querySelectorAll("section:first-of-type .pill")].map(each => each.textContent)"""
    )
    assert len(told) == 4
    assert set(told) == {"met", "missed"}


@pytest.mark.parametrize("width", WIDTHS)
def test_lineage_stands_on_cards_that_a_phone_holds(browser: Any, pages: dict[str, Path], width: int) -> None:
    browser.open(pages["binary"], width=width)
    cards = """[...document.querySelectorAll(".card")].map(each => [each.querySelector("h3").textContent,
        each.getBoundingClientRect().right <= innerWidth, each.scrollWidth <= each.clientWidth])"""
    assert browser.run(cards) == [[title, True, True] for title in ("Data", "Model", "Run")]
    told = browser.run("""[...document.querySelectorAll(".card .value")].map(each => each.textContent)""")
    assert {"training-20260101-120000-1234", "version 3", "c" * 12} <= set(told)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("task", TASKS)
def test_all_text_has_the_contrast_that_wcag_asks_for(
    browser: Any, pages: dict[str, Path], task: str, scheme: str
) -> None:
    browser.open(pages[task], width=1280, scheme=scheme)
    assert browser.run(FAINT_TEXTS) == []


def test_pages_are_small(pages: dict[str, Path]) -> None:
    assert all(page.stat().st_size < 1_500_000 for page in pages.values())


def test_a_page_prints_on_few_sheets(browser: Any, pages: dict[str, Path], tmp_path: Path) -> None:
    browser.open(pages["binary"], width=1280, scheme="dark")
    browser.print(tmp_path / "page.pdf")
    sheets = (tmp_path / "page.pdf").read_bytes().count(b"/Type /Page\n")
    assert 2 <= sheets <= 8


def test_screenshots_can_be_taken(browser: Any, pages: dict[str, Path], tmp_path: Path) -> None:
    for width, scheme in ((1280, "light"), (390, "dark")):
        browser.open(pages["binary"], width=width, scheme=scheme)
        browser.screenshot(tmp_path / f"{width}.png")
        assert (tmp_path / f"{width}.png").stat().st_size > 50_000


def brightness(colour: str) -> float:
    numbers = [float(part) for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    return sum(numbers) / 3
