"""Threads that wait leave the processor to others, unless the user said otherwise."""

import os
import subprocess
import sys

import pytest

from ropewalk.training.threads import let_waiting_threads_sleep

_SOON = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "2000"}


@pytest.mark.parametrize("given", [{}, {"OMP_WAIT_POLICY": "ACTIVE"}, {"GOMP_SPINCOUNT": "5"}, {"KMP_BLOCKTIME": "0"}])
def test_threads_soon_sleep_unless_the_user_said_how_they_wait(given: dict[str, str]) -> None:
    environment = dict(given)
    let_waiting_threads_sleep(environment)
    assert environment == (given or _SOON)


@pytest.mark.parametrize(
    "module", ["ropewalk.training.threads", "ropewalk.training.launch", "ropewalk.training.command"]
)
def test_it_can_be_said_before_torch_is_imported(module: str) -> None:
    program = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False, env=dict(os.environ)).returncode == 0


def test_the_command_says_it_before_torch_is_imported() -> None:
    program = (
        "import os, runpy, sys\n"
        "class Watch:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'torch': print(os.environ.get('GOMP_SPINCOUNT')); sys.stdout.flush(); os._exit(0)\n"
        "sys.meta_path.insert(0, Watch())\n"
        "sys.argv = ['training', '--help']\n"
        "runpy.run_module('ropewalk.training', run_name='__main__')\n"
    )
    unset = {name: value for name, value in os.environ.items() if name not in _SOON}
    ended = subprocess.run([sys.executable, "-c", program], check=True, env=unset, capture_output=True, text=True)
    assert ended.stdout.strip() == "2000"
