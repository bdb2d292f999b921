"""Arrow's allocator is chosen before Arrow is there, unless the user chose."""

import os
import subprocess
import sys

import pytest

from ropewalk.preprocess.allocation import use_jemalloc

_SETTING = "ARROW_DEFAULT_MEMORY_POOL"
_UNSET = {name: value for name, value in os.environ.items() if name != _SETTING}


@pytest.mark.parametrize(("given", "pool"), [({}, "jemalloc"), ({_SETTING: "system"}, "system")])
def test_arrow_allocates_by_jemalloc_unless_the_user_said_otherwise(given: dict[str, str], pool: str) -> None:
    environment = dict(given)
    use_jemalloc(environment)
    assert environment == {_SETTING: pool}


def test_other_systems_are_left_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    environment: dict[str, str] = {}
    use_jemalloc(environment)
    assert environment == {}


def test_arrow_does_what_it_was_told() -> None:
    program = (
        "from ropewalk.preprocess.allocation import use_jemalloc\n"
        "use_jemalloc()\n"
        "import pyarrow\n"
        "print(pyarrow.default_memory_pool().backend_name)"
    )
    ended = subprocess.run([sys.executable, "-c", program], check=True, env=_UNSET, capture_output=True, text=True)
    assert (ended.stdout.strip(), ended.stderr) == ("jemalloc", "")


def test_the_command_says_it_before_arrow_is_imported() -> None:
    program = (
        "import os, runpy, sys\n"
        "class Watch:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == 'pyarrow': print(os.environ.get('{_SETTING}')); sys.stdout.flush(); os._exit(0)\n"
        "sys.meta_path.insert(0, Watch())\n"
        "sys.argv = ['preprocess', '--help']\n"
        "runpy.run_module('ropewalk.preprocess', run_name='__main__')\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], check=True, env=_UNSET, capture_output=True, text=True)
    assert ended.stdout.strip() == "jemalloc"
