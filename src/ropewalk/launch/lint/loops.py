"""Rules `loop-*`: loops that kfp.local 2.17 runs wrong, while a cluster runs them right."""

from collections.abc import Iterator

from ropewalk.launch.lint.document import Document
from ropewalk.launch.lint.finding import WARNING, Finding
from ropewalk.launch.lint.rule import LintConfig, found


def check_loops(document: Document, config: LintConfig) -> Iterator[Finding]:
    """Yield a finding for each loop whose body would get the wrong value, or none, in a local run."""
    for task in document.tasks():
        iterator = task.spec.get("parameterIterator")
        if iterator is None:
            continue
        given = task.spec.get("inputs", {}).get("parameters", {})
        items = iterator.get("items", {}).get("inputParameter", "")
        for name, source in given.items():
            output = source.get("taskOutputParameter")
            if output is None:
                continue
            place = (*task.place, "inputs", "parameters", name)
            producer = f"{output.get('producerTask')}.{output.get('outputParameterKey')}"
            if name != items:
                yield found(
                    document,
                    "loop-outer-value",
                    WARNING,
                    place,
                    message=f"The loop {task.name} uses {producer} in its body: kfp.local gives the body the item "
                    "instead, without a word. On a cluster it is right.",
                    fix="Put the loop into a nested pipeline that takes the value as a parameter, or use an artifact.",
                )
            elif output.get("outputParameterKey") != "Output":
                yield found(
                    document,
                    "loop-named-output",
                    WARNING,
                    place,
                    message=f"The loop {task.name} runs over the named output {producer}: kfp.local fails with 'Parent "
                    "pipeline input argument ... not found'.",
                    fix="Have the component return the list as its only output.",
                )
