"""The CI templates are what their systems accept, say the same in all three, and their shell does what it says."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from integrations.ci_steps import (
    GITHUB,
    GITLAB,
    JENKINS,
    Step,
    calls,
    commands,
    github_steps,
    gitlab_steps,
    jenkins_steps,
    read_jenkinsfile,
)
from integrations.forge import serve_comments
from kfp_server.passing import time_passes
from kfp_server.server import KfpServer, serve
from ropewalk.images_lock import read_images_lock
from ropewalk.launch.profiles import read_profile

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
needs_groovy = pytest.mark.skipif(not shutil.which("groovy"), reason="Jenkinsfiles are read by groovy: install it")
SECRETS = {"KFP": "kfp-s3cret", "COMMENTS": "comments-s3cret"}
COPIED = ("Makefile", "compile.py", "constraints.txt", "setup.cfg", "setup.py", "pyproject.toml", ".gitignore")
PROFILE = """
kfp: {{host: "{host}"}}
images: {{lock: ../images.lock}}
"""


@pytest.fixture(scope="module")
def server() -> Iterator[KfpServer]:
    with serve() as server:
        server.gate.tokens = {SECRETS["KFP"]: "ci"}
        yield server


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory, server: KfpServer) -> Path:
    """A clone in which CI works: a target branch, a commit that changes a default, and the set-up already done."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in COPIED:
        shutil.copy(ROOT / name, folder / name)
    shutil.copytree(ROOT / "tests" / "pipelines" / "golden", folder / "tests" / "pipelines" / "golden")
    (folder / "profiles").mkdir()
    (folder / "profiles" / "ci.yaml").write_text(PROFILE.format(host=server.url), encoding="utf-8")
    golden = folder / "tests" / "pipelines" / "golden" / "training.yaml"
    now = golden.read_text(encoding="utf-8")
    before = now.replace("defaultValue: sample:breast_cancer", "defaultValue: sample:wine")
    assert before != now
    golden.write_text(before, encoding="utf-8")
    git(folder, "init", "--quiet", "--initial-branch", "main")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "before")
    git(folder, "update-ref", "refs/remotes/origin/main", "HEAD")
    golden.write_text(now, encoding="utf-8")
    git(folder, "commit", "--quiet", "--all", "--message", "another default")
    (folder / ".venv").mkdir()
    for part in ("bin", "lib", "pyvenv.cfg"):
        (folder / ".venv" / part).symlink_to(BIN.parent / part)
    (folder / ".venv" / ".ready").touch()
    lock_images(folder / "images.lock")
    return folder


def git(folder: Path, *words: str) -> None:
    person = {f"GIT_{role}_{part}": "ci@example.com" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
    subprocess.run(["git", *words], cwd=folder, env={**os.environ, **person}, check=True, capture_output=True)


def lock_images(file: Path) -> None:
    """Write what building images leaves behind, without building them."""
    from ropewalk import images

    names = {
        value for name, value in vars(images).items() if name.isupper() and isinstance(value, str) and ":" in value
    }
    entries = {
        re.search("ropewalk-([a-z]+):", name)[1]: {"image": name.rpartition(":")[0], "digest": f"sha256:{'0' * 64}"}
        for name in names
    }
    file.write_text(yaml.safe_dump({"images": entries}), encoding="utf-8")
    assert read_images_lock(file)


@pytest.fixture
def run(checkout: Path, tmp_path: Path) -> Callable[..., str]:
    """Return a function that runs a step as CI does, expecting it to succeed, and returns all that it prints."""

    def run(step: Step, **variables: str) -> str:
        plain = {name: value for name, value in step.variables.items() if "$" not in value}
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "OMP_NUM_THREADS") if name in os.environ}
        ended = subprocess.run(
            [*step.shell, step.script],
            cwd=checkout,
            env={**kept, **plain, "CI": "true", "PROFILE": "profiles/ci.yaml", **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=300,
        )
        assert ended.returncode == 0, f"{step.name}: {ended.stdout}"
        for secret in SECRETS.values():
            assert secret not in ended.stdout, step.name
        return ended.stdout

    return run


STEPS = {step.name: step for step in github_steps()}


def check(*words: str) -> None:
    ended = subprocess.run([str(BIN / words[0]), *words[1:]], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_github_workflow_is_one_by_githubs_schema():
    check("check-jsonschema", "--builtin-schema", "vendor.github-workflows", str(GITHUB))


def test_the_gitlab_pipeline_is_one_by_gitlabs_schema():
    check("check-jsonschema", "--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci", str(GITLAB))


def test_the_github_workflow_has_none_of_the_weaknesses_that_zizmor_knows():
    check("zizmor", "--offline", "--no-progress", "--persona", "auditor", "--min-severity", "medium", str(GITHUB))


@needs_groovy
def test_the_jenkinsfile_is_groovy_with_the_sections_of_a_declarative_pipeline():
    (pipeline,) = read_jenkinsfile()["calls"]
    sections = {"agent", "options", "parameters", "environment", "stages", "post"}
    assert pipeline["name"] == "pipeline"
    assert {call["name"] for call in pipeline["inside"]} <= sections
    stages = list(calls(pipeline["inside"], "stage"))
    assert len(stages) == 8
    for stage in stages:
        assert {call["name"] for call in stage["inside"]} <= {"steps", "when"}
        assert "steps" in {call["name"] for call in stage["inside"]}


@needs_groovy
def test_all_three_systems_give_the_same_commands():
    said = [set().union(*map(commands, steps())) for steps in (github_steps, gitlab_steps, jenkins_steps)]
    github, gitlab, jenkins = ({re.sub(r'--push "\$\w+"', "--push", command) for command in each} for each in said)
    assert github == gitlab == jenkins
    assert len(github) == 11


@needs_groovy
def test_every_step_is_shell_without_a_syntax_error():
    for step in [*github_steps(), *gitlab_steps(), *jenkins_steps()]:
        interpreter = "bash" if "bash" in step.shell[0] else "sh"
        ended = subprocess.run([interpreter, "-n"], input=step.script, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, f"{step.name}: {ended.stderr}"


def test_secrets_reach_steps_by_their_environment_alone():
    for step in github_steps():
        assert "${{" not in step.script
    document = yaml.safe_load(GITHUB.read_text(encoding="utf-8"))
    assert document["permissions"] == {}
    assert not any("secrets" in str(job.get("env", "")) for job in document["jobs"].values())
    for text in re.findall(r"\bsh (['\"]+)", JENKINS.read_text(encoding="utf-8")):
        assert set(text) == {"'"}, "Groovy would put variables into a text in double quotes"


def test_a_pull_request_is_compiled_linted_compared_and_tried_and_its_model_promoted(checkout, run, tmp_path):
    told = run(STEPS["compile"])
    assert "READMEs are up to date" in told
    run(STEPS["lint"])
    summary = tmp_path / "summary.md"
    run(STEPS["compare with the target branch"], BASE="origin/main", GITHUB_STEP_SUMMARY=str(summary))
    assert "sample:wine" in summary.read_text(encoding="utf-8")
    assert "behaviour" in (checkout / "diff.md").read_text(encoding="utf-8")
    told = run(STEPS["test on a sample"])
    assert "register-model: succeeded" in told
    assert "<html" in (checkout / "reports" / "sample.html").read_text(encoding="utf-8")
    store = f"sqlite:///{checkout / '.ropewalk' / 'mlflow.db'}"
    told = run(STEPS["promote"], MODEL="model/1", EXPECT="1", MLFLOW_TRACKING_URI=store)
    assert "champion" in told


def test_gitlab_compares_too(checkout, run):
    script = next(step for step in gitlab_steps() if step.name == "test")
    (part,) = re.findall(r"^if .*?^fi$", script.script, flags=re.MULTILINE | re.DOTALL)
    run(STEPS["compile"])
    (checkout / "diff.md").unlink(missing_ok=True)
    run(Step("compare", part, script.shell), CI_MERGE_REQUEST_DIFF_BASE_SHA="origin/main")
    assert "sample:wine" in (checkout / "diff.md").read_text(encoding="utf-8")


COMMENT = {
    "github": lambda url: (
        STEPS["comment"],
        {
            "TOKEN": SECRETS["COMMENTS"],
            "COMMENTS": f"{url}/repos/you/flights/issues/7/comments",
            "COMMENT": f"{url}/repos/you/flights/issues/comments",
        },
    ),
    "gitlab": lambda url: (
        next(step for step in gitlab_steps() if step.name == "comment"),
        {"COMMENT_TOKEN": SECRETS["COMMENTS"], "NOTES": f"{url}/projects/1/merge_requests/7/notes"},
    ),
    "jenkins": lambda url: (
        [step for step in jenkins_steps() if step.name == "compare with the target branch"][1],
        {
            "TOKEN": SECRETS["COMMENTS"],
            "GITHUB_API_URL": url,
            "CHANGE_ID": "7",
            "CHANGE_URL": "https://github.com/you/flights/pull/7",
        },
    ),
}


@pytest.mark.parametrize("system", [*list(COMMENT)[:2], pytest.param("jenkins", marks=needs_groovy)])
def test_the_difference_becomes_one_comment_which_later_pushes_change(checkout, run, system):
    with serve_comments(SECRETS["COMMENTS"]) as forge:
        forge.comments[1] = "Looks good to me."
        step, variables = COMMENT[system](forge.url)
        for text in ('first "quoted" difference', "second difference"):
            (checkout / "diff.md").write_text(text, encoding="utf-8")
            run(step, **variables)
            assert forge.comments == {1: "Looks good to me.", 2: f"<!-- ropewalk diff -->\n{text}"}
    assert forge.refused == 0


def test_a_comment_that_is_refused_fails_the_step(checkout, run):
    (checkout / "diff.md").write_text("a difference", encoding="utf-8")
    with serve_comments("another") as forge, pytest.raises(AssertionError, match="401"):
        step, variables = COMMENT["github"](forge.url)
        run(step, **variables)


def test_what_is_merged_is_published_once_and_run_to_its_end(checkout, run, server):
    token = {"ROPEWALK_KFP_TOKEN": SECRETS["KFP"]}
    run(STEPS["publish"], **token)
    with time_passes(server):
        run(STEPS["submit"], **token)
    assert len(server.state.versions) == 1
    (started,) = server.state.runs.values()
    assert started.state == "SUCCEEDED"
    assert '"state": "SUCCEEDED"' in (checkout / "run.json").read_text(encoding="utf-8")


def test_a_run_that_fails_fails_the_step(checkout, run, server):
    run(STEPS["publish"], ROPEWALK_KFP_TOKEN=SECRETS["KFP"])
    server.state.plan.outcomes = {"train-model": "FAILED"}
    with time_passes(server), pytest.raises(AssertionError, match="train-model failed"):
        run(STEPS["submit"], ROPEWALK_KFP_TOKEN=SECRETS["KFP"])


def test_profiles_that_the_templates_name_exist():
    for file in (GITHUB, GITLAB, JENKINS):
        for name in set(re.findall(r"profiles/[\w-]+\.yaml", file.read_text(encoding="utf-8"))):
            assert read_profile(ROOT / name)


def test_the_hook_for_pre_commit_refuses_a_pipeline_that_would_fail_late(tmp_path):
    check("pre-commit", "validate-manifest", str(ROOT / ".pre-commit-hooks.yaml"))
    compiled = tmp_path / "compiled.yaml"
    golden = (ROOT / "tests" / "pipelines" / "golden" / "training.yaml").read_text(encoding="utf-8")
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    entry = [str(BIN / "ropewalk"), *hook["entry"].split()[1:], str(compiled)]
    compiled.write_text(golden, encoding="utf-8")
    assert subprocess.run(entry, check=False, capture_output=True).returncode == 0
    compiled.write_text(re.sub(r"image: \S+", "image: example.com/steps:latest", golden), encoding="utf-8")
    ended = subprocess.run(entry, check=False, capture_output=True, text=True)
    assert ended.returncode == 1
    assert "latest" in ended.stdout
