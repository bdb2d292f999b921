"""`ropewalk data` and `python -m ropewalk.data` as a person calls them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def versioned(hub: Path, tmp_path: Path) -> Path:
    """A bare repository with two versions of t.csv, pushed by the command line."""
    for text in ("id,city\n1,x\n", "id,plan\n1,p\n2,q\n"):
        (tmp_path / "t.csv").write_text(text)
        ended = _module("push", "--source", str(tmp_path / "t.csv"), "--repository", str(hub), "--path", "t.csv")
        assert ended.returncode == 0, ended.stderr
    return hub


def _module(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-P", "-m", "ropewalk.data", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "160"})


def test_versions_are_listed_and_compared_for_people_and_as_json(ropewalk, versioned: Path) -> None:
    listed = ropewalk.call("data", "ls", str(versioned), "t.csv")
    assert listed.returncode == 0, listed.stderr
    lines = listed.stdout.splitlines()
    assert [("t@v1.1.0" in lines[1], "t@v1.0.0" in lines[2])] == [(True, True)]
    as_json = json.loads(ropewalk.call("data", "ls", str(versioned), "t.csv", "--json").stdout)
    assert [version["tags"] for version in as_json] == [["t@v1.1.0"], ["t@v1.0.0"]]
    differing = ropewalk.call("data", "diff", str(versioned), "t.csv", "t@v1.0.0")
    assert differing.returncode == 0, differing.stderr
    for shown in ("rows  1 -> 2 (+1)", "city", "removed", "plan", "added", "12", "16"):
        assert shown in differing.stdout
    as_json = json.loads(
        ropewalk.call("data", "diff", str(versioned), "t.csv", "t@v1.0.0", "t@v1.1.0", "--json").stdout
    )
    assert as_json["table"]["rows_b"] == 2


def test_errors_are_one_line_with_exit_code_1(ropewalk, versioned: Path) -> None:
    for arguments in (("ls", str(versioned), "u.csv"), ("diff", str(versioned), "t.csv", "t@v9.0.0")):
        ended = ropewalk.call("data", *arguments)
        assert ended.returncode == 1
        assert ended.stderr.splitlines()[-1].startswith("error: ")
        assert "Did you mean 't" in ended.stderr
        assert "Traceback" not in ended.stderr


def test_the_help_teaches(ropewalk) -> None:
    shown = ropewalk.call("data", "--help").stdout
    assert "ropewalk data diff . customers.csv customers@v1.0.0" in shown
    assert "python -m ropewalk.data push --help" in shown
    for words in (("--help",), ("push", "--help"), ("pull", "--help")):
        assert _module(*words).returncode == 0
    assert "--repository" in _module("push", "--help").stdout
    assert "--revision" in _module("pull", "--help").stdout


def test_what_the_command_line_pushed_it_can_pull(versioned: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ("--source", str(versioned), "--path", "t.csv", "--revision", "t@v1.0.0", "--output", str(out))
    assert _module("pull", *arguments).returncode == 0
    assert (out / "data" / "t.csv").read_text() == "id,city\n1,x\n"


def test_a_refused_push_says_why_on_stderr(versioned: Path, tmp_path: Path) -> None:
    arguments = ("--source", str(tmp_path / "t.csv"), "--repository", str(versioned), "--path", "../t.csv")
    ended = _module("push", *arguments)
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: path='../t.csv' cannot be tracked")
