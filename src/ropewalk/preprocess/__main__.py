"""Command line of the preprocessing step."""

from ropewalk.allocation import give_freed_memory_back
from ropewalk.commandline import run_command

if __name__ == "__main__":
    give_freed_memory_back()
    # Only now: it imports pyarrow.
    from ropewalk.preprocess.preprocess import preprocess

    run_command(preprocess, name="preprocess")
