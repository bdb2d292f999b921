"""Command line: python -m ropewalk.summary --help."""

from ropewalk.commandline import run_command
from ropewalk.summary.summarize import summarize

run_command(summarize, name="summary")
