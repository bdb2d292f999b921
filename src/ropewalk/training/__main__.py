"""Command line of the training step."""

from ropewalk.commandline import run_command
from ropewalk.training.command import train_command
from ropewalk.training.distributed import rank

if __name__ == "__main__":
    run_command(train_command, name="training", show=rank() == 0)
