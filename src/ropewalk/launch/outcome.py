"""What a step left behind: its outputs, and what is missing although it exited well."""

import json
from pathlib import Path
from typing import Any

from ropewalk.artifacts import MANIFEST

_METRICS = "system.Metrics"
_HTML = "system.HTML"
# A regression has no confusion matrix: these may stay empty.
_OPTIONAL = {"system.ClassificationMetrics", "system.SlicedClassificationMetrics"}


def read_outputs(executor_input: dict[str, Any]) -> dict[str, Any]:
    """Return the outputs as the step wrote them, in the form of `launch.steps.Step.outputs`."""
    declared = executor_input["outputs"]
    written = _executor_output(declared)
    parameters = dict(written.get("parameterValues", {}))
    for name, entry in declared.get("parameters", {}).items():
        file = Path(entry["outputFile"])
        if file.is_file():
            parameters.setdefault(name, file.read_text(encoding="utf-8", errors="replace"))
    artifacts = {}
    for name, entry in declared.get("artifacts", {}).items():
        promised = entry["artifacts"][0]
        given = written.get("artifacts", {}).get(name, entry)["artifacts"][0]
        artifacts[name] = {
            "type": promised["type"]["schemaTitle"],
            "path": given.get("custom_path") or given["uri"],
            "metadata": given.get("metadata", {}),
        }
    return {"parameters": parameters, "artifacts": artifacts}


def read_pages(executor_input: dict[str, Any]) -> dict[str, Any]:
    """Return, in the same form, only the HTML pages that a failed step wrote: they often say why it failed."""
    artifacts = read_outputs(executor_input)["artifacts"]
    pages = {name: page for name, page in artifacts.items() if page["type"] == _HTML and not _artifact_problem(page)}
    return {"parameters": {}, "artifacts": pages}


def find_missing_outputs(executor_input: dict[str, Any]) -> list[str]:
    """Return one sentence for each declared output that the step did not leave behind, whole."""
    declared = executor_input["outputs"]
    outputs = read_outputs(executor_input)
    problems = [
        f"The output parameter {name!r} has no value."
        for name in declared.get("parameters", {})
        if outputs["parameters"].get(name) is None
    ]
    for name, artifact in outputs["artifacts"].items():
        problem = _artifact_problem(artifact)
        if problem:
            problems.append(f"The output {name!r} {problem}.")
    if not Path(declared["outputFile"]).is_file():
        problems.append("It ended before KFP could record its outputs: something called sys.exit() or os._exit().")
    return problems


def _executor_output(declared: dict[str, Any]) -> dict[str, Any]:
    file = Path(declared["outputFile"])
    if not file.is_file():
        return {}
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return content


def _artifact_problem(artifact: dict[str, Any]) -> str:
    path = Path(artifact["path"])
    if artifact["type"] in _OPTIONAL or "://" in artifact["path"]:
        return ""
    if artifact["type"] == _METRICS:
        return "" if artifact["metadata"] or path.exists() else "has no metrics"
    if not path.exists():
        return f"was not written to {path}"
    if path.is_dir():
        return _folder_problem(path)
    return "" if path.stat().st_size else f"is an empty file, {path}"


def _folder_problem(folder: Path) -> str:
    manifest = folder / MANIFEST
    if not manifest.is_file():
        return "" if any(folder.iterdir()) else f"is an empty folder, {folder}"
    for name, entry in json.loads(manifest.read_text(encoding="utf-8"))["files"].items():
        file = folder / name
        if not file.is_file() or file.stat().st_size != entry["bytes"]:
            return f"is not whole: {file} is missing or not {entry['bytes']} bytes long"
    return ""
