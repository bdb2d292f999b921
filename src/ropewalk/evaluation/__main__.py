"""Command line of the evaluation step."""

from ropewalk.commandline import run_command
from ropewalk.evaluation.evaluate import evaluate

if __name__ == "__main__":
    run_command(evaluate, name="evaluation")
