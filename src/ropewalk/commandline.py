"""Runs a step's library function as `python -m ropewalk.<step>`."""

import json
import os
import select
import sys
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from typing import Any, NoReturn

import tyro

from ropewalk.errors import RopewalkError


def run_command(function: Callable[..., Any], *, name: str, show: bool = True) -> NoReturn:
    """Call `function` with the command line's arguments, print its result as JSON if `show`, and exit.

    Flags, types, defaults and help come from the function's signature and docstring.
    Exit codes: 0 done, 1 a RopewalkError (its message on stderr), 2 wrong usage, 75 stopped by SIGTERM with its state
    kept (run the same command again to go on), 130 interrupted.
    """
    _run(lambda prog: tyro.cli(function, prog=prog, config=(tyro.conf.OmitArgPrefixes,)), name, show=show)


def run_commands(functions: dict[str, Callable[..., Any]], *, name: str, description: str) -> NoReturn:
    """Do as `run_command` does with the one of `functions` that the command line names first."""
    settings = (tyro.conf.OmitArgPrefixes,)
    _run(
        lambda prog: tyro.extras.subcommand_cli_from_dict(
            functions, prog=prog, description=description, config=settings
        ),
        name,
    )


def _run(call: Callable[[str], Any], name: str, *, show: bool = True) -> NoReturn:
    try:
        result = call(f"python -m ropewalk.{name}")
    except RopewalkError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted: nothing half-written is left; run the same command again\n")
        sys.exit(130)
    except BrokenPipeError:
        if not _reader_has_gone():
            raise
        sys.exit(1)
    if show:
        sys.stdout.write(json.dumps(result, indent=2, default=_plain) + "\n")
    sys.exit(0)


def _reader_has_gone() -> bool:
    """Return whether nobody reads the output any more, as behind `| head`; what is left of it is dropped then."""
    output = select.poll()
    output.register(sys.stdout.fileno(), 0)
    if not output.poll(0):
        return False
    # Python writes the rest when it ends (https://docs.python.org/3/library/signal.html#note-on-sigpipe).
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return True


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return str(value)
