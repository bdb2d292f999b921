"""Command line of the validation step."""

from ropewalk.commandline import run_command
from ropewalk.validation.validate import validate

if __name__ == "__main__":
    run_command(validate, name="validation")
