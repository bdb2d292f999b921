"""Command line: python -m ropewalk.registry --help."""

from ropewalk.commandline import run_commands
from ropewalk.registry.champion import fetch
from ropewalk.registry.register import register

run_commands(
    {"register": register, "fetch-champion": fetch},
    name="registry",
    description="Register a model in MLflow, once per run, or fetch the one that is in use.",
)
