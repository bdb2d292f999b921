"""Origin: the pipeline that a step runs in, as far as the step can know it, without secrets."""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_CREDENTIALS = re.compile(r"(?<=://)[^/\s@]+@")
_SECRET_NAMES = ("password", "secret", "token", "credential")
_IMAGE = re.compile(r"^\s+image: ['\"]?([^\s'\"]+)", re.MULTILINE)


def pipeline_facts() -> dict[str, str]:
    """Return name, SHA-256 of the compiled YAML, images and parameters of the pipeline; empty where nothing tells.

    A run on this machine keeps all of them in $ROPEWALK_RUN_DIR. In a cluster a pod does not see its pipeline's YAML,
    so that only who keeps it is told.
    """
    folder = Path(os.environ.get("ROPEWALK_RUN_DIR") or os.devnull)
    if not (folder / "pipeline.yaml").is_file():
        in_cluster = "KUBERNETES_SERVICE_HOST" in os.environ
        return {"pipeline.kept_by": "Kubeflow Pipelines, under the id of the run"} if in_cluster else {}
    text = (folder / "pipeline.yaml").read_bytes()
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    return {
        "pipeline.name": str(record["pipeline"]),
        "pipeline.sha256": hashlib.sha256(text).hexdigest(),
        "pipeline.images": ", ".join(sorted(set(_IMAGE.findall(text.decode())))),
        "pipeline.parameters": json.dumps(_shown(record["parameters"]), ensure_ascii=False, sort_keys=True),
    }


def without_credentials(text: str) -> str:
    """Return `text` with the user and password of every URL replaced by "***"."""
    return _CREDENTIALS.sub("***@", text)


def _shown(value: Any, name: str = "") -> Any:
    """Return a parameter without credentials in URLs, and nothing of one whose name tells of a secret."""
    if any(word in name.lower() for word in _SECRET_NAMES):
        return "(hidden)"
    if isinstance(value, Mapping):
        return {key: _shown(entry, str(key)) for key, entry in value.items()}
    if isinstance(value, list):
        return [_shown(entry) for entry in value]
    return without_credentials(value) if isinstance(value, str) else value
