"""`ropewalk lint`, `diff` and `profile`: what they print, and exit codes that CI can use."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from ropewalk.cli import cli
from ropewalk.errors import ConfigError
from ropewalk.launch.profiles.start import KINDS

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / "tests" / "pipelines" / "golden"


def _call(*arguments: str) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.fixture
def faulty(tmp_path: Path) -> Path:
    """A pipeline with one error, in a folder."""
    document = yaml.safe_load((GOLDEN / "training.yaml").read_text())
    container = document["deploymentSpec"]["executors"]["exec-train-model"]["container"]
    container["image"] = "example.org/steps:latest"
    (tmp_path / "faulty.yaml").write_text(yaml.safe_dump(document))
    return tmp_path


def test_lint_prints_where_what_and_what_to_do_and_ends_with_1(faulty: Path) -> None:
    ended = _call("lint", faulty)
    assert ended.exit_code == 1
    line = next(line for line in ended.output.splitlines() if "[image-latest]" in line and "train-model" in line)
    file, number, _ = line.split(":", 2)
    assert (faulty / "faulty.yaml").read_text().splitlines()[
        int(number) - 1
    ].strip() == "image: example.org/steps:latest"
    assert file == str(faulty / "faulty.yaml")
    assert "    To do: Name a version, or a digest" in ended.output
    assert "1 file: " in ended.output


def test_lint_is_content_with_the_golden_pipelines_and_strict_is_not() -> None:
    files = [GOLDEN / "training.yaml", GOLDEN / "tuning.yaml"]
    assert _call("lint", *files).exit_code == 0
    assert _call("lint", *files, "--strict").exit_code == 1
    assert _call("lint", *files, "--strict", "--ignore", "limit-memory").exit_code == 0
    assert _call("lint", *files, "--release").exit_code == 1
    assert _call("lint", GOLDEN / "cloud-spot-gpu" / "training.yaml", "--strict").exit_code == 0
    older = _call("lint", GOLDEN / "cloud-spot-gpu" / "training.yaml", "--kfp-version", "2.16", "--format", "json")
    assert {finding["rule"] for finding in json.loads(older.output) if finding["level"] == "error"} == {"needs-kfp"}


def test_lint_speaks_to_machines(faulty: Path) -> None:
    findings = json.loads(_call("lint", faulty, "--format", "json").output)
    wrong = next(finding for finding in findings if finding["rule"] == "image-latest")
    log = json.loads(_call("lint", faulty, "--format", "sarif").output)
    (run,) = log["runs"]
    assert (log["version"], len(run["results"])) == ("2.1.0", len(findings))
    for result in run["results"]:
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["locations"][0]["physicalLocation"]["region"]["startLine"] >= 1
    commands = _call("lint", faulty, "--format", "github").output.splitlines()
    assert len(commands) == len(findings)
    assert any(
        line.startswith(f"::error file={wrong['source']},line={wrong['line']},title=image-latest::")
        for line in commands
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lint", "none.yaml"], "cannot be read"),
        (["lint", str(ROOT / "setup.cfg")], "not valid YAML|is not a compiled KFP pipeline"),
        (["lint", str(ROOT / "src" / "ropewalk" / "summary")], "holds no .yaml file"),
        (["lint", str(GOLDEN), "--ignore", "image-latst"], "Did you mean 'image-latest'"),
        (["lint", str(GOLDEN), "--kfp-version", "two"], "need major and minor"),
        (["diff", str(GOLDEN), str(GOLDEN / "training.yaml")], "need two files, or two folders"),
        (["diff", "none.yaml", str(GOLDEN / "training.yaml")], "cannot be read"),
        (["profile", "show", "none.yaml"], "cannot be read"),
        (["profile", "check", "none.yaml"], "cannot be read"),
        (["profile", "init", "x.yaml", "--kind", "cloud"], "Did you mean 'cloud-spot-gpu'"),
        (["doctor", "--profile", "none.yaml"], "cannot be read"),
    ],
)
def test_bad_input_is_refused(arguments, message, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    ended = _call(*arguments)
    assert isinstance(ended.exception, ConfigError)
    assert any(part in str(ended.exception) for part in message.split("|"))
    assert list(tmp_path.iterdir()) == []


def test_diff_tells_and_its_exit_code_can_be_set(faulty: Path) -> None:
    old, new = GOLDEN / "training.yaml", faulty / "faulty.yaml"
    ended = _call("diff", old, new)
    assert ended.exit_code == 1
    assert "behaviour: step train-model: image changed" in ended.output
    assert "minor version" in ended.output
    assert _call("diff", old, new, "--fail-on", "breaking").exit_code == 0
    assert _call("diff", old, new, "--fail-on", "behaviour").exit_code == 1
    same = _call("diff", old, old)
    assert (same.exit_code, same.output) == (0, "No difference in meaning.\n")
    assert _call("diff", old, new, "--format", "markdown").output.startswith("### Compiled pipelines")
    assert json.loads(_call("diff", old, new, "--format", "json").output)["next_version"] == "minor"


def test_diff_of_folders_tells_of_files_that_come_and_go(tmp_path: Path) -> None:
    for name, files in (("old", ("training", "tuning")), ("new", ("training", "other"))):
        (tmp_path / name).mkdir()
        for file in files:
            source = GOLDEN / f"{'tuning' if file == 'other' else file}.yaml"
            (tmp_path / name / f"{file}.yaml").write_text(source.read_text())
    ended = _call("diff", tmp_path / "old", tmp_path / "new")
    assert ended.exit_code == 1
    assert "tuning.yaml: breaking: file tuning.yaml: removed" in ended.output
    assert "other.yaml: behaviour: file other.yaml: added" in ended.output


@pytest.mark.parametrize("kind", KINDS)
def test_an_example_is_written_shown_and_left_alone(kind, tmp_path: Path) -> None:
    file = tmp_path / "cluster.yaml"
    assert _call("profile", "init", file, "--kind", kind).exit_code == 0
    assert file.read_text() == (ROOT / "profiles" / f"{kind}.yaml").read_text()
    again = _call("profile", "init", file)
    assert isinstance(again.exception, ConfigError)
    assert file.read_text() == (ROOT / "profiles" / f"{kind}.yaml").read_text()
    records = {one["pod"]: one for one in json.loads(_call("profile", "show", file, "--json").output)}
    content = yaml.safe_load(file.read_text())
    assert records["report-run"]["resources"]["memory"].endswith(content["defaults"]["memory"])
    assert ("tune-model > Katib trials" in records) == (content["tune"]["engine"] == "katib")
    assert ("train-model > TrainJob" in records) == ("train_job" in content)
    assert "train-model" in _call("profile", "show", file).output


def test_a_profile_is_checked_with_all_pipelines(tmp_path: Path) -> None:
    file = tmp_path / "cluster.yaml"
    file.write_text("defaults: {cpu: '1', memory: 4Gi}\nsteps: {train-model: {gpus: 1}}\n")
    ended = _call("profile", "check", file)
    assert ended.exit_code == 0
    assert "[gpu-shm] train-model has a GPU" in ended.output
    assert "is right" in ended.output
    file.write_text("variables: [{env: DB_PASSWORD, value: hunter2}]\n")
    ended = _call("profile", "check", file)
    assert ended.exit_code == 1
    assert "[secret-variable]" in ended.output
    assert "hunter2" not in ended.output


def test_lint_and_diff_load_neither_kfp_nor_anything_heavy() -> None:
    heavy = "{'kfp', 'kubernetes', 'mlflow', 'pandas', 'pyarrow', 'requests', 'torch'}"
    modules = "ropewalk.cli, ropewalk.launch.lint.files, ropewalk.launch.lint.show"
    modules += ", ropewalk.launch.compare.files, ropewalk.launch.compare.show, ropewalk.launch.profiles"
    script = f"import sys, {modules}; found = {heavy} & sys.modules.keys(); sys.exit(', '.join(found) or 0)"
    ended = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
