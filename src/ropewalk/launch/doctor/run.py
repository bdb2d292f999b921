"""Runs checks side by side, each within a time: a server that hangs holds up nobody."""

import queue
import threading
import time
from collections.abc import Callable, Mapping

from ropewalk.errors import RopewalkError
from ropewalk.launch.doctor.result import Check, Result, failed

SECONDS = 30.0
"""How long all checks may take together, unless another time is given."""


def run_checks(
    checks: Mapping[str, Check], *, seconds: float = SECONDS, say: Callable[[Result], None] = lambda result: None
) -> list[Result]:
    """Return what the checks found, in their order; whoever has not answered after `seconds` has failed.

    Args:
        checks: By what they look at.
        seconds: How long to wait for all of them, above 0.
        say: Called with each result as soon as it and all before it are there.
    """
    answers: queue.Queue[tuple[str, list[Result]]] = queue.Queue()
    for name, check in checks.items():
        # Daemons: a check that hangs must not keep the process from ending.
        threading.Thread(target=_answer, args=(name, check, answers), daemon=True).start()
    deadline, got, told = time.monotonic() + seconds, dict[str, list[Result]](), list[Result]()
    waiting = list(checks)
    while waiting:
        while waiting and waiting[0] in got:
            for result in got[waiting.pop(0)]:
                told.append(result)
                say(result)
        left = deadline - time.monotonic()
        if not waiting:
            break
        try:
            name, results = answers.get(timeout=max(0.0, left))
        except queue.Empty:
            fix = "See whether a firewall or proxy is between, or give it more time: --timeout."
            got |= {
                name: [failed(name, f"No answer in {seconds:.0f} s.", fix=fix)] for name in waiting if name not in got
            }
        else:
            got[name] = results
    return told


def _answer(name: str, check: Check, answers: "queue.Queue[tuple[str, list[Result]]]") -> None:
    try:
        results = check()
    except RopewalkError as error:
        lines = str(error).splitlines()
        results = [failed(name, lines[0], fix="\n".join(lines[1:]) or "See the message.")]
    answers.put((name, results))
