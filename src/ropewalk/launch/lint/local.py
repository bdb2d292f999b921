"""Rules `local-*`: values that kfp.local 2.17 changes or cannot give, while a cluster does right."""

from collections.abc import Iterator

from ropewalk.launch.lint.document import Document, texts
from ropewalk.launch.lint.finding import NOTE, WARNING, Finding
from ropewalk.launch.lint.rule import LintConfig, found

_ABSENT = ("pipeline_job_resource_name", "pipeline_job_create_time_utc", "pipeline_job_schedule_time_utc")


def check_local(document: Document, config: LintConfig) -> Iterator[Finding]:
    """Yield a finding for each constant that a local run cannot give to the step as it is."""
    for task in document.tasks():
        for name, source in task.spec.get("inputs", {}).get("parameters", {}).items():
            place = (*task.place, "inputs", "parameters", name)
            for _, text in texts(source.get("runtimeValue", {}).get("constant"), place):
                if "python3" in text:
                    yield found(
                        document,
                        "local-python3",
                        WARNING,
                        place,
                        message=f"{task.name}: kfp.local replaces 'python3' in {name} by an interpreter's path.",
                        fix="Write the value without it, such as 'python'.",
                    )
                if absent := next((one for one in _ABSENT if f"{{{{$.{one}}}}}" in text), None):
                    yield found(
                        document,
                        "local-placeholder",
                        NOTE,
                        place,
                        message=f"{task.name}: local runs know no {absent}, and fail with an IndexError.",
                        fix="Use the job's name or id, if the pipeline is to run locally.",
                    )
