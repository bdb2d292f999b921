"""Command line of the preprocessing step."""

from ropewalk.commandline import run_command
from ropewalk.preprocess.allocation import use_jemalloc

if __name__ == "__main__":
    use_jemalloc()
    # Only now: it imports pyarrow.
    from ropewalk.preprocess.preprocess import preprocess

    run_command(preprocess, name="preprocess")
