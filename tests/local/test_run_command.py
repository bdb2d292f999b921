"""`ropewalk ...`: parameters, help, listing and reports."""

import json
import time

import pytest

from ropewalk import __version__


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "text: this parameter has no default and must be given: --text TEXT"),
        (
            ["--text", "a", "--param", "cuont=3"],
            "cuont: the pipeline 'passing' has no such parameter. Did you mean 'count'?",
        ),
        (["--text", "a", "--count", "many"], "count='many': need a whole number, such as 2."),
        (["--text", "a", "--config", "{"], "config='{': not valid JSON"),
        (["--text", "a", "--config", "@absent.json"], "cannot read the file 'absent.json': No such file or directory"),
        (["--text", "a {{$.x}}"], "KFP would replace '{{$' inside a value"),
        (["--text", "a", "--param", "text=b"], "text is given twice"),
        (["--text", "a", "--cuont", "3"], "--count"),
    ],
)
def test_wrong_parameters_are_refused_before_anything_starts(ropewalk, arguments, message):
    ended = ropewalk.run("passing", *arguments)
    assert ended.returncode == 2
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ropewalk.folders() == []


def test_config_can_come_from_a_file(ropewalk):
    (ropewalk.folder / "settings.json").write_text('{"depth": 3}')
    assert ropewalk.run("passing", "--text", "a", "--config", "@settings.json").returncode == 0
    assert ropewalk.record()["parameters"]["config"] == {"depth": 3}


def test_help_of_a_pipeline_shows_its_parameters_types_and_defaults(ropewalk):
    shown = ropewalk.run("passing", "--help").stdout
    for text in (
        "--text TEXT",
        "What to write. [required]",
        "--count INTEGER",
        "How often. [default: 2]",
        "--config JSON|@FILE",
        "look-back",
    ):
        assert text in shown


def test_an_unknown_pipeline_is_named_with_what_there_is(ropewalk):
    ended = ropewalk.call("run", "trainnig")
    assert ended.returncode == 2
    assert "There is no pipeline 'trainnig'" in ended.stderr


def test_a_yaml_file_that_is_no_pipeline_is_refused(ropewalk):
    (ropewalk.folder / "other.yaml").write_text("a: 1\n")
    ended = ropewalk.call("run", "other.yaml")
    assert ended.returncode == 2
    assert "other.yaml is not a compiled KFP pipeline" in ended.stderr


def test_help_and_version_come_at_once(ropewalk):
    started = time.monotonic()
    assert "ropewalk run training" in ropewalk.call("--help").stdout
    assert ropewalk.call("--version").stdout == f"ropewalk, version {__version__}\n"
    assert time.monotonic() - started < 2


def test_help_imports_nothing_heavy(ropewalk):
    shown = ropewalk.call("--help", PYTHONPROFILEIMPORTTIME="1").stderr
    imported = {line.rpartition("|")[2].strip() for line in shown.splitlines()}
    assert "click" in imported
    assert not imported & {"kfp", "rich", "torch", "mlflow", "pandas", "numpy", "yaml"}


def test_runs_are_listed_newest_first_with_metric_and_model(ropewalk):
    ropewalk.run("passing", "--text", "words")
    ropewalk.run("failing")
    shown = ropewalk.call("runs").stdout.splitlines()
    assert shown[1].split()[:2] == [ropewalk.folders()[0].name, "failed"]
    assert "characters 5" in shown[2]
    assert "tiny-model v3" in shown[2]
    listed = json.loads(ropewalk.call("runs", "--json").stdout)
    assert [run["state"] for run in listed] == ["failed", "succeeded"]


def test_a_damaged_record_does_not_hide_the_other_runs(ropewalk):
    ropewalk.run("passing", "--text", "words")
    ropewalk.run("failing")
    (ropewalk.folders()[0] / "run.json").write_text("{")
    shown = ropewalk.call("runs").stdout
    assert "unreadable" in shown
    assert "succeeded" in shown


def test_open_prints_the_measuring_report_or_after_a_failure_the_last_one(ropewalk):
    ropewalk.run("passing", "--text", "words")
    ropewalk.run("failing")
    latest = ropewalk.call("open", "--print").stdout.strip()
    named = ropewalk.call("open", "--print", "passing-").stdout.strip()
    assert (latest.rpartition("/")[2], named.rpartition("/")[2]) == ("look-back-page.html", "measure-page.html")
    assert ("/failing-" in latest, "/passing-" in named) == (True, True)


def test_a_state_folder_that_cannot_be_made_is_named(ropewalk):
    ropewalk.home.write_text("a file")
    ended = ropewalk.run("passing", "--text", "words")
    assert ended.returncode == 1
    assert "Cannot create" in ended.stderr
    assert "Set ROPEWALK_HOME" in ended.stderr


def test_wrong_usage_of_any_command_exits_2_with_advice(ropewalk):
    for arguments in (["rnus"], ["runs", "--jsn"], ["open", "a", "b"]):
        ended = ropewalk.call(*arguments)
        assert ended.returncode == 2
        assert "Error: " in ended.stderr


def test_open_without_runs_says_how_to_make_one(ropewalk):
    ended = ropewalk.call("open", "--print")
    assert ended.returncode == 2
    assert "There are no runs in" in ended.stderr
