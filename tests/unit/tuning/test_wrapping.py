"""Commands that would not survive Katib's wrapping into `sh -c`, each refused with the reason."""

import pytest

from ropewalk.tuning.containers import Container
from ropewalk.tuning.wrapping import placeholder_quoting, value_problem, wrapping_problems

HAZARDS = [
    ({"command": ["python", "-c", "print(1)"]}, "split or interpret 'print(1)'"),
    ({"command": ["train"], "args": ["--name", "a b"]}, "split or interpret 'a b'"),
    ({"command": ["train", "a;b"]}, "split or interpret 'a;b'"),
    ({"command": ["train", "$HOME"]}, "split or interpret '$HOME'"),
    ({"command": ["train", ""]}, "split or interpret ''"),
    ({"command": ["/bin/sh", "-c", "train"]}, "not '/bin/sh -c'"),
    ({"command": ["bash", "-ec", "train"]}, "not 'bash -ec'"),
    ({"command": ["sh"]}, "makes Katib's webhook panic"),
    ({"command": ["sh", "-c"], "args": ['$0 "$@"', "train", "--x"]}, "3 texts are no script with arguments"),
    ({"command": ["sh", "-c"], "args": ["train\n"]}, "ends with a line break"),
    ({"command": ["sh", "-c"], "args": ["cd a\ntrain"]}, "only the last is captured"),
    ({"command": ["sh", "-c"], "args": ["train # now"]}, "a comment hides"),
    ({"command": ["sh", "-c"], "args": ["exec train"]}, "a leading exec"),
    ({"command": ["exec", "train"]}, "a leading exec"),
    ({"command": ["sh", "-c"], "args": ["train 'a"]}, "a quote is not closed"),
    ({"command": ["sh", "-c"], "args": ["train &"]}, "ends with '&'"),
    ({"command": ["sh", "-c"], "args": ["  "]}, "the script is empty"),
    ({"args": ["train"]}, "there is none: Katib would ask the registry"),
    ({"command": "train"}, "must be lists of texts"),
]
FINE = [
    {"command": ["python3", "train.py", "--lr=${trialParameters.lr}", "--path=/a/b-c_d.e"]},
    {"command": ["sh", "-c"], "args": ["cd a && train '--x=${trialParameters.x}' \"b # c; d\""]},
    {"command": ["sh", "-c", "train a#b"]},
    {"command": ["bash", "-c", "a=1; train $a"]},
]


@pytest.mark.parametrize(("spec", "message"), HAZARDS, ids=[message for _, message in HAZARDS])
def test_a_hazard_is_refused_with_its_reason(spec, message):
    found = list(wrapping_problems(Container("c", spec), "c", stops_early=False))
    assert any(message in problem.text for problem in found), found


@pytest.mark.parametrize("spec", FINE, ids=str)
def test_what_survives_is_accepted(spec):
    assert not list(wrapping_problems(Container("c", spec), "c", stops_early=False))


@pytest.mark.parametrize("script", ["train | tee log", "watch & train"])
def test_pipes_and_background_jobs_are_refused_only_with_early_stopping(script):
    container = Container("c", {"command": ["sh", "-c"], "args": [script]})
    assert not list(wrapping_problems(container, "c", stops_early=False))
    (problem,) = wrapping_problems(container, "c", stops_early=True)
    assert "ends the shell's only child" in problem.text


@pytest.mark.parametrize("script", ["a && train", "a || train", "train 2>&1", "train 'a | b & c'"])
def test_early_stopping_allows_a_single_child(script):
    container = Container("c", {"command": ["sh", "-c"], "args": [script]})
    assert not list(wrapping_problems(container, "c", stops_early=True))


def test_where_a_placeholder_stands_is_known():
    line = "a ${trialParameters.p} 'b ${trialParameters.q}' \"c ${trialParameters.r}\" \\' ${trialParameters.s}"
    assert list(placeholder_quoting(line)) == [("p", "none"), ("q", "single"), ("r", "double"), ("s", "none")]


@pytest.mark.parametrize(
    ("value", "place", "accepted"),
    [
        ("a b", "none", False),
        ("a;b", "none", False),
        ("", "none", False),
        ("a-b_1.5", "none", True),
        ("a b;c $d", "single", True),
        ("it's", "single", False),
        ("it's; b", "double", True),
        ("$d", "double", False),
        ('say "x"', "single", False),
        ("a\\b", "single", False),
        ("a\nb", "single", False),
        ("$(date)", "single", False),
        ("${trialParameters.x}", "single", False),
    ],
)
def test_values_are_accepted_where_the_shell_leaves_them_alone(value, place, accepted):
    assert (value_problem(value, [place]) == "") is accepted
