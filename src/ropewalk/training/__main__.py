"""Command line of the training step."""

from ropewalk.commandline import run_command
from ropewalk.training.allocation import keep_freed_memory
from ropewalk.training.command import train_command
from ropewalk.training.threads import let_waiting_threads_sleep

if __name__ == "__main__":
    let_waiting_threads_sleep()
    keep_freed_memory()
    # Only now: it imports torch.
    from ropewalk.training.distributed import rank

    run_command(train_command, name="training", show=rank() == 0)
