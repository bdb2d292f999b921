"""Command line: python -m ropewalk.registry --help."""

from ropewalk.commandline import run_command
from ropewalk.registry.register import register

run_command(register, name="registry")
