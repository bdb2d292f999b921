"""Rule `argument-size`: KFP hands all inputs of a step to its process as one argument, which Linux limits."""

import json
from collections.abc import Iterator

from ropewalk.launch.lint.document import Document, texts
from ropewalk.launch.lint.finding import ERROR, Finding
from ropewalk.launch.lint.rule import LintConfig, found

MAX_ARGUMENT = 128 * 1024
"""MAX_ARG_STRLEN of Linux (include/uapi/linux/binfmts.h): 32 pages, for one argument or environment variable."""
_OVERHEAD = 8 * 1024
"""What the executor's input holds beside the parameters: artifacts' places and output paths."""


def check_arguments(document: Document, config: LintConfig) -> Iterator[Finding]:
    """Yield a finding for each task, container and default whose bytes the kernel would refuse with E2BIG."""
    fix = "Hand it over as an artifact: a file that a step writes, or dsl.importer reads."
    for task in document.tasks():
        given = task.spec.get("inputs", {}).get("parameters", {})
        constants = [
            one["runtimeValue"]["constant"] for one in given.values() if "constant" in one.get("runtimeValue", {})
        ]
        size = len(json.dumps(constants).encode())
        if size > MAX_ARGUMENT - _OVERHEAD:
            yield found(
                document,
                "argument-size",
                ERROR,
                (*task.place, "inputs", "parameters"),
                message=f"The constants that {task.name} is given have {size:,} bytes; its process can take about "
                f"{MAX_ARGUMENT - _OVERHEAD:,}.",
                fix=fix,
            )
    for container in document.containers:
        for name in ("command", "args", "env"):
            for place, text in texts(container.spec.get(name, []), (*container.place, name)):
                if len(text.encode()) >= MAX_ARGUMENT:
                    yield found(
                        document,
                        "argument-size",
                        ERROR,
                        place,
                        message=f"{len(text.encode()):,} bytes in one argument of {container.step}; Linux takes "
                        f"{MAX_ARGUMENT:,}.",
                        fix="Move the component's code into the image's library.",
                    )
    for name, entry in document.spec["root"].get("inputDefinitions", {}).get("parameters", {}).items():
        size = len(json.dumps(entry.get("defaultValue", "")).encode())
        if size > MAX_ARGUMENT - _OVERHEAD:
            yield found(
                document,
                "argument-size",
                ERROR,
                ("root", "inputDefinitions", "parameters", name, "defaultValue"),
                message=f"The default of {name} has {size:,} bytes; a step takes about {MAX_ARGUMENT - _OVERHEAD:,}.",
                fix=fix,
            )
