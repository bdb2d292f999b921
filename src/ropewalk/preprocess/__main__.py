"""Command line of the preprocessing step."""

from ropewalk.commandline import run_command
from ropewalk.preprocess.preprocess import preprocess

if __name__ == "__main__":
    run_command(preprocess, name="preprocess")
