"""Command line of the tuning step."""

from ropewalk.commandline import run_command
from ropewalk.tuning.tune import tune

if __name__ == "__main__":
    run_command(tune, name="tuning")
