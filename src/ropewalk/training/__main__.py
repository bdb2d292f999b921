"""Command line of the training step."""

from ropewalk.commandline import run_command
from ropewalk.training.distributed import rank
from ropewalk.training.train import train

if __name__ == "__main__":
    run_command(train, name="training", show=rank() == 0)
