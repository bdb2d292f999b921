"""Shows a run while it goes on: live lines in a terminal, plain lines anywhere else."""

import time
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from ropewalk.launch.steps import (
    FAILED,
    FINISHED_EVENT,
    LINE_EVENT,
    RUNNING,
    SKIPPED,
    STARTED_EVENT,
    SUCCEEDED,
    Step,
    Steps,
)

_MARKS = {SUCCEEDED: ("✓", "green"), FAILED: ("✗", "bold red"), SKIPPED: ("-", "dim")}


class LiveProgress:
    """One line a step, redrawn in place: mark, name, seconds, latest output."""

    def __init__(self, console: Console) -> None:
        self._steps: Steps = Steps([])
        self._spinner = Spinner("dots", style="cyan")
        self._live = Live(console=console, get_renderable=self._render, refresh_per_second=10, transient=True)

    def __enter__(self) -> "LiveProgress":
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def show(self, steps: Steps, step: Step, event: str) -> None:
        """Redraw when a step changes; the lines in between are drawn ten times a second."""
        self._steps = steps
        if event != LINE_EVENT:
            self._live.refresh()

    def _render(self) -> Table:
        table = Table.grid(padding=(0, 1))
        table.add_column(width=2)
        table.add_column(no_wrap=True)
        table.add_column(justify="right", no_wrap=True)
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1, style="dim")
        for step in self._steps:
            seconds = f"{step.elapsed:.1f} s" if step.started else ""
            if step.state == RUNNING:
                table.add_row(self._spinner, Text(step.task, style="bold"), seconds, Text(step.last_line))
            else:
                mark, style = _MARKS.get(step.state, ("·", "dim"))
                last_line = "" if step.state == SUCCEEDED else step.error.partition("\n")[0]
                table.add_row(Text(mark, style=style), Text(step.task, style=style), seconds, Text(last_line))
        return table


class PlainProgress:
    """One line an event, with the time; for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def __enter__(self) -> "PlainProgress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is left open."""

    def show(self, steps: Steps, step: Step, event: str) -> None:
        """Print what happened to `step`."""
        texts = {
            STARTED_EVENT: "started",
            LINE_EVENT: f"| {step.last_line}",
            FINISHED_EVENT: f"{step.state} after {step.elapsed:.1f} s",
        }
        line = f"{time.strftime('%H:%M:%S')} {step.task}: {texts[event]}"
        self._console.out(line, highlight=False)


def choose_progress(console: Console) -> LiveProgress | PlainProgress:
    """Return live progress when `console` writes to a terminal, plain lines when it does not."""
    in_terminal = console.is_interactive and console.file.isatty()
    return LiveProgress(console) if in_terminal else PlainProgress(console)
