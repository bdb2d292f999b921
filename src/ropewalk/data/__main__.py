"""Command line of the data step."""

from ropewalk.commandline import run_command
from ropewalk.data.pull import pull

if __name__ == "__main__":
    run_command(pull, name="data")
