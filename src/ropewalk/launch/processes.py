"""Steps as processes of this machine, in the interpreter that runs the pipeline."""

import codecs
import io
import os
import select
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from ropewalk.launch.work import Call

PATIENCE_SECONDS = 0.2
"""How long a step that has ended may be silent before its output counts as complete."""


def use_this_interpreter(full_command: list[str], executable: str) -> list[str]:
    """Return the command with `executable` for python3 in the shell script, and nowhere else."""
    return [
        part.replace("python3 -m ", f"{shlex.quote(executable)} -m ") if _is_script(full_command, number) else part
        for number, part in enumerate(full_command)
    ]


class Processes:
    """Runs steps as subprocesses."""

    @contextmanager
    def start(self, call: Call) -> Iterator["Process"]:
        """Start a step."""
        with subprocess.Popen(
            call.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **call.environment},
        ) as process:
            yield Process(process)

    def stop(self) -> None:
        """Steps belong to the process group of whoever runs them, and get its signals."""


class Process:
    """A step that has been started."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process

    def lines(self) -> Iterator[str]:
        """Yield what it prints until it has ended, even while a child of its own still holds the pipe."""
        assert self._process.stdout is not None
        pipe = self._process.stdout.fileno()
        decoder = LineDecoder()
        quiet = False
        while not (quiet and self._process.poll() is not None):
            quiet = not select.select([pipe], [], [], PATIENCE_SECONDS)[0]
            chunk = b"" if quiet else os.read(pipe, 65536)
            if not quiet and not chunk:
                break
            yield from decoder.decode(chunk)
        yield from decoder.rest()

    def end(self) -> tuple[int, str]:
        """Wait for its end; return its exit code, negative for a signal."""
        return self._process.wait(), ""


class LineDecoder:
    """Turns chunks of bytes into lines of text."""

    def __init__(self) -> None:
        self._decoder = io.IncrementalNewlineDecoder(
            codecs.getincrementaldecoder("utf-8")(errors="replace"), translate=True
        )
        self._rest = ""

    def decode(self, chunk: bytes) -> list[str]:
        """Return the lines that `chunk` completes."""
        *lines, self._rest = (self._rest + self._decoder.decode(chunk)).split("\n")
        return lines

    def rest(self) -> list[str]:
        """Return the last line, when no line break ended it."""
        return [self._rest] if self._rest else []


def _is_script(full_command: list[str], number: int) -> bool:
    return full_command[max(number - 2, 0) : number] in (["sh", "-c"], ["sh", "-ec"])
