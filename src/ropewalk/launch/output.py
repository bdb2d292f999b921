"""A step's printed output: KFP's own chatter told apart, and the reason for a failure found."""

import re
import signal

_CHATTER = re.compile(r"^\[KFP Executor .*?\]: ")
_INPUT_FOLLOWS = "Got executor_input:"
_TRACEBACK = "Traceback (most recent call last):"
_EXCEPTION = re.compile(r"^(?:[A-Za-z_]\w*\.)+(?=[A-Za-z_]\w*(?::|$))")
_FOREIGN_FRAME = re.compile(r'  File "(?:<frozen runpy>|.*/kfp/dsl/executor(?:_main)?\.py)"')
TAIL_LINES = 40


class Chatter:
    """Tells a step's own lines from those of KFP's executor, which prints all its inputs as JSON."""

    def __init__(self) -> None:
        self._inside_input = False

    def covers(self, line: str) -> bool:
        """Return whether `line`, the next one of the output, is KFP's."""
        if self._inside_input:
            self._inside_input = line != "}"
            return True
        if _CHATTER.match(line):
            self._inside_input = _INPUT_FOLLOWS in line
            return True
        return not line.strip()


def own_lines(text: str) -> list[str]:
    """Return the lines of a step's output without KFP's chatter."""
    chatter = Chatter()
    return [line for line in text.splitlines() if not chatter.covers(line)]


def failure_message(lines: list[str], code: int) -> str:
    """Return why a step failed: its exception's message, or what its exit code says."""
    number = -code if code < 0 else code - 128
    if number in signal.valid_signals():
        hint = "; most likely the machine ran out of memory" if number == signal.SIGKILL else ""
        return f"The step was killed by {signal.Signals(number).name}{hint}."
    raised = _last_exception(lines)
    if raised:
        return _EXCEPTION.sub("", "\n".join(raised))
    last = next((line.strip() for line in reversed(lines) if line.strip()), "it printed nothing")
    return f"The step exited with code {code}: {last}"


def failure_tail(lines: list[str]) -> str:
    """Return the lines that a person wants to see: the last traceback, or else the end of the output."""
    starts = [number for number, line in enumerate(lines) if line.startswith(_TRACEBACK)]
    tail = _without_kfps_frames(lines[starts[-1] :]) if starts else lines
    return "\n".join(tail[-TAIL_LINES:])


def _without_kfps_frames(traceback: list[str]) -> list[str]:
    kept = []
    inside = False
    for line in traceback:
        if line.startswith('  File "'):
            inside = _FOREIGN_FRAME.match(line) is not None
        elif not line.startswith("    "):
            inside = False
        if not inside:
            kept.append(line)
    return kept


def _last_exception(lines: list[str]) -> list[str]:
    starts = [number for number, line in enumerate(lines) if line.startswith(_TRACEBACK)]
    if not starts:
        return []
    for number in range(starts[-1] + 1, len(lines)):
        if lines[number] and not lines[number][0].isspace():
            return lines[number:][:TAIL_LINES]
    return []
