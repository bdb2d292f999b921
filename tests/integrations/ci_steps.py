"""The shell steps of each CI template, as its system would run them."""

import json
import os
import re
import shutil
import subprocess
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / "integrations" / "github" / "ropewalk.yml"
GITLAB = ROOT / "integrations" / "gitlab" / ".gitlab-ci.yml"
JENKINS = ROOT / "integrations" / "jenkins" / "Jenkinsfile"


@dataclass(frozen=True)
class Step:
    """One piece of shell."""

    name: str
    """The step's, job's or stage's name in lower case."""
    script: str
    shell: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)
    """What the template adds to the environment, expressions and all."""


def github_steps() -> list[Step]:
    """Return the steps of the workflow: each runs in a bash of its own."""
    document = yaml.safe_load(GITHUB.read_text(encoding="utf-8"))
    shell = ("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c")
    return [
        Step(step["name"].lower(), step["run"], shell, {**document["env"], **step.get("env", {})})
        for job in document["jobs"].values()
        for step in job["steps"]
        if "run" in step
    ]


def gitlab_steps() -> list[Step]:
    """Return the jobs of the pipeline: what a job's script lists runs in one bash."""
    document = yaml.safe_load(GITLAB.read_text(encoding="utf-8"))
    return [
        Step(
            name,
            "\n".join(job["script"]),
            ("bash", "-eo", "pipefail", "-c"),
            {**document["variables"], **job.get("variables", {})},
        )
        for name, job in document.items()
        if isinstance(job, dict) and "script" in job
    ]


def jenkins_steps() -> list[Step]:
    """Return the `sh` calls of all stages; a script that begins with #! brings its own shell."""
    told = read_jenkinsfile()
    return [
        Step(stage["words"][0].lower(), *_shell(call["words"][0]), told["variables"])
        for stage in calls(told["calls"], "stage")
        for call in calls(stage["inside"], "sh")
    ]


def _shell(text: str) -> tuple[str, tuple[str, ...]]:
    first, _, rest = text.partition("\n")
    if first.startswith("#!"):
        return textwrap.dedent(rest), (first.removeprefix("#!"), "-c")
    return textwrap.dedent(text), ("sh", "-xe", "-c")


@cache
def read_jenkinsfile() -> dict[str, Any]:
    """Return the calls of the Jenkinsfile, as Groovy understands them, and the variables that it sets."""
    java = Path(shutil.which("java") or "").resolve()
    ended = subprocess.run(
        ["groovy", str(Path(__file__).with_name("jenkinsfile.groovy")), str(JENKINS)],
        env={**os.environ, "JAVA_HOME": str(java.parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return dict(json.loads(ended.stdout))


def calls(tree: list[dict[str, Any]], name: str) -> Iterator[dict[str, Any]]:
    """Yield every call of that name, at any depth, in order."""
    for call in tree:
        if call["name"] == name:
            yield call
        else:
            yield from calls(call["inside"], name)


def commands(step: Step) -> set[str]:
    """Return the calls of Ropewalk in a step, each on one line, without how results are printed or kept."""
    joined = re.sub(r"\\\n\s*", "", step.script)
    found = re.findall(r"^\s*(?:make|\.venv/bin/\S+) .*$", joined, flags=re.MULTILINE)
    return {re.sub(r" --format github| PYTHON=\S+|\s+>.*$", "", command).strip() for command in found}
