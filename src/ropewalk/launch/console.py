"""Where results are printed: a terminal, or a log without line breaks of its own."""

import sys

from rich.console import Console

LOG_WIDTH = 160
"""Columns of a table when there is no terminal to fit."""


def open_console() -> Console:
    """Return a console on standard output."""
    return Console(highlight=False) if sys.stdout.isatty() else Console(highlight=False, width=LOG_WIDTH)
