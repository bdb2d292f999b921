"""Rules `placeholder-*`: what is replaced at run time, and what reaches the step as it stands."""

import re
from collections.abc import Iterator

from ropewalk.errors import nearest
from ropewalk.launch.lint.document import Document, Place, Task, texts
from ropewalk.launch.lint.finding import ERROR, Finding
from ropewalk.launch.lint.rule import LintConfig, found

KNOWN = (
    "pipeline_job_name",
    "pipeline_job_uuid",
    "pipeline_job_resource_name",
    "pipeline_job_create_time_utc",
    "pipeline_job_schedule_time_utc",
    "pipeline_root",
    "pipeline_task_name",
    "pipeline_task_uuid",
    "workspace_path",
)
"""What KFP 2.17 replaces in values (backend/src/v2/driver/resolve.go)."""
INSIDE_TEXT = "workspace_path"
"""The only one that is replaced inside a longer text."""
_PLACEHOLDER = re.compile(r"\{\{\$(?P<path>[^}]*)\}\}")
_INPUT = re.compile(r"\.inputs\.parameters\['(?P<name>[^']+)'\](\[[^}]*\])?")
_ARGO = re.compile(r"\{\{(workflow|inputs|outputs|tasks|steps|pod|item)\b[^}]*\}\}")


def check_placeholders(document: Document, config: LintConfig) -> Iterator[Finding]:
    """Yield a finding for each placeholder in a task's constants that no server replaces."""
    for task in document.tasks():
        given = task.spec.get("inputs", {}).get("parameters", {})
        for name, source in given.items():
            constant = source.get("runtimeValue", {}).get("constant")
            place = (*task.place, "inputs", "parameters", name, "runtimeValue", "constant")
            for at, text in texts(constant, place):
                yield from _of_text(document, task, at, text)
    for container in document.containers:
        for at, text in texts(container.spec.get("env", []), (*container.place, "env")):
            if _PLACEHOLDER.search(text) or _ARGO.search(text):
                yield found(
                    document,
                    "placeholder-in-env",
                    ERROR,
                    at,
                    message=f"{container.step}: environment variables are not resolved; the step would see {text!r}.",
                    fix="Pass it as a parameter of the component.",
                )


def _of_text(document: Document, task: Task, place: Place, text: str) -> Iterator[Finding]:
    if argo := _ARGO.search(text):
        yield found(
            document,
            "placeholder-argo",
            ERROR,
            place,
            message=f"{task.name} is given {argo[0]!r}, which is Argo's, not KFP's: the step would see it as it is.",
            fix="Use dsl.PIPELINE_JOB_ID_PLACEHOLDER and its like, or a parameter.",
        )
    for one in _PLACEHOLDER.finditer(text):
        path = one["path"]
        if named := _INPUT.fullmatch(path):
            yield from _of_input(document, task, place, named["name"])
            continue
        name = path.removeprefix(".")
        if name not in KNOWN:
            yield found(
                document,
                "placeholder-unknown",
                ERROR,
                place,
                message=f"{task.name} is given {one[0]!r}, which nothing replaces.{nearest(name, KNOWN)} Known: "
                f"{', '.join(KNOWN)}.",
                fix="Use one of the placeholders in kfp.dsl.",
            )
        elif one[0] != text and name != INSIDE_TEXT:
            yield found(
                document,
                "placeholder-inside-text",
                ERROR,
                place,
                message=f"{task.name} is given {one[0]!r} inside a longer text: only a whole value is replaced, so the "
                "step would see the placeholder itself.",
                fix="Pass the placeholder as a parameter of its own, and put the text together in the step.",
            )


def _of_input(document: Document, task: Task, place: Place, name: str) -> Iterator[Finding]:
    inputs = task.spec.get("inputs", {}).get("parameters", {})
    if name not in inputs:
        yield found(
            document,
            "placeholder-unknown",
            ERROR,
            place,
            message=f"{task.name} refers to its input {name!r}, which it does not have.{nearest(name, inputs)}",
            fix="Compile again with kfp's own compiler: the YAML was changed by hand, or by another tool.",
        )
