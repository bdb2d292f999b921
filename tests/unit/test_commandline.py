"""What all steps' command lines do alike."""

import subprocess
import sys

import pytest

_HELP = "import sys\nfrom ropewalk.commandline import run_command\n"


def _run(program: str, *, read: int) -> tuple[int, str]:
    """Return exit code and stderr of a program whose output is read up to so many bytes."""
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    with process.stdout as output:
        assert len(output.read(read)) == read
    with process.stderr as errors:
        told = errors.read().decode()
    return process.wait(60), told


@pytest.mark.parametrize("text", ["'x' * 10**6", "'x\\n' * 10**6"])
def test_output_that_nobody_reads_to_its_end_is_no_traceback(text: str) -> None:
    program = f"{_HELP}def show():\n    print({text})\nsys.argv = ['show']\nrun_command(show, name='show')"
    assert _run(program, read=10) == (1, "")


def test_another_broken_pipe_is_a_failure_that_shows() -> None:
    program = (
        f"{_HELP}def send():\n    print('begun', flush=True)\n    raise BrokenPipeError('the other side')\n"
        "sys.argv = ['send']\nrun_command(send, name='send')"
    )
    ended = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert ended.returncode == 1
    assert "BrokenPipeError: the other side" in ended.stderr
