"""A step's output is told apart from KFP's, and the reason for a failure is found in it."""

import pytest

from ropewalk.launch.output import failure_message, failure_tail, own_lines

CHATTER = """\
[KFP Executor 2026-01-01 00:00:00,000 INFO]: Looking for component `f` in --component_module_path `/tmp/x.py`
[KFP Executor 2026-01-01 00:00:00,000 INFO]: Got executor_input:
{
    "inputs": {
        "a": "}"
    }
}
"""
TRACEBACK = """\
Traceback (most recent call last):
  File "x.py", line 1, in <module>
    f()
    ^^^
ropewalk.errors.DataError: Row 7 is wrong:
  - it has 3 cells
  - remove it
"""


def test_only_the_steps_own_lines_are_kept():
    assert own_lines(f"{CHATTER}epoch 1\n\n}}\n[KFP Executor x INFO]: Wrote executor output file.\n") == [
        "epoch 1",
        "}",
    ]


def test_the_message_of_the_last_exception_is_the_reason():
    lines = own_lines(f"{CHATTER}Traceback (most recent call last):\nKeyError: 1\n\nwork\n{TRACEBACK}")
    assert failure_message(lines, 1) == "DataError: Row 7 is wrong:\n  - it has 3 cells\n  - remove it"
    assert failure_tail(lines) == TRACEBACK.strip()


@pytest.mark.parametrize(
    ("lines", "code", "reason"),
    [
        (["cannot open x"], 3, "The step exited with code 3: cannot open x"),
        ([], 1, "The step exited with code 1: it printed nothing"),
        (["work"], 137, "The step was killed by SIGKILL; most likely the machine ran out of memory."),
        (["work"], -11, "The step was killed by SIGSEGV."),
        (["Traceback (most recent call last):", "  cut off"], 1, "The step exited with code 1: cut off"),
    ],
)
def test_without_an_exception_the_exit_code_is_explained(lines, code, reason):
    assert failure_message(lines, code) == reason


def test_frames_of_kfp_are_left_out_of_the_tail():
    kfp = [
        '  File "<frozen runpy>", line 88, in _run_code',
        '  File "/x/site-packages/kfp/dsl/executor.py", line 453, in execute',
        "    result = self.func(**func_kwargs)",
        "             ^^^^^^^^^",
    ]
    traceback = TRACEBACK.splitlines()
    assert failure_tail([traceback[0], *kfp, *traceback[1:]]) == TRACEBACK.strip()


def test_the_tail_of_a_long_output_is_its_end():
    assert failure_tail([str(number) for number in range(1000)]).split("\n")[-1] == "999"
    assert len(failure_tail([str(number) for number in range(1000)]).split("\n")) == 40
