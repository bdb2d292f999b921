"""Command line of the data steps."""

from ropewalk.commandline import run_commands
from ropewalk.data.pull import pull
from ropewalk.data.push import push

if __name__ == "__main__":
    run_commands(
        {"pull": pull, "push": push},
        name="data",
        description="Pull a table at one version from where it is kept, or push a file or folder as a new one.",
    )
