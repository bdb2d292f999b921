"""Progress: lines redrawn in a terminal, plain lines elsewhere."""

import io
import re

import pytest
from rich.console import Console

from ropewalk.launch.progress import choose_progress
from ropewalk.launch.steps import Steps

EVENTS = [
    {"event": "started", "task": "train", "time": 1.0},
    {"event": "line", "task": "train", "text": "epoch [1] of 3"},
    {"event": "finished", "task": "train", "seconds": 2.5, "error": "", "outputs": {}},
]


class Stream(io.StringIO):
    """Text in memory that may pass for a terminal."""

    terminal = False

    def isatty(self) -> bool:
        return self.terminal


@pytest.mark.parametrize("terminal", [True, False])
def test_each_step_is_shown_with_state_seconds_and_latest_line(terminal):
    stream = Stream()
    stream.terminal = terminal
    console = Console(file=stream, force_terminal=True, width=100, _environ={"TERM": "xterm"})
    steps = Steps(["train", "evaluate"])
    with choose_progress(console) as progress:
        for event in EVENTS:
            progress.show(steps, steps.apply(event), event["event"])
    shown = stream.getvalue()
    assert "2.5 s" in shown
    assert ("\x1b[" in shown, "evaluate" in shown) == (terminal, terminal)
    if not terminal:
        assert re.sub(r"\d\d:\d\d:\d\d ", "", shown) == (
            "train: started\ntrain: | epoch [1] of 3\ntrain: succeeded after 2.5 s\n"
        )
