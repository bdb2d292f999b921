"""Command line of the data steps."""

from ropewalk.commandline import run_commands
from ropewalk.data.pull import pull
from ropewalk.data.push import push
from ropewalk.data.resolve import resolve

if __name__ == "__main__":
    run_commands(
        {"resolve": resolve, "pull": pull, "push": push},
        name="data",
        description="Find out a source's version, pull a table at one version, or push a file or folder as a new one.",
    )
