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


def pipeline_facts() -> dict[str, Any]:
    """Return `name`, `sha256` of the YAML, `images` and `parameters` of the pipeline; empty where nothing tells.

    A run on this machine keeps all of them in $ROPEWALK_RUN_DIR. In a cluster a pod does not see its pipeline's YAML,
    so that only who keeps it is told: `kept_by`.
    """
    folder = Path(os.environ.get("ROPEWALK_RUN_DIR") or os.devnull)
    if not (folder / "pipeline.yaml").is_file():
        in_cluster = "KUBERNETES_SERVICE_HOST" in os.environ
        return {"kept_by": "Kubeflow Pipelines, under the id of the run"} if in_cluster else {}
    text = (folder / "pipeline.yaml").read_bytes()
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    return {
        "name": str(record["pipeline"]),
        "sha256": hashlib.sha256(text).hexdigest(),
        "images": sorted(set(_IMAGE.findall(text.decode()))),
        "parameters": without_secrets(record["parameters"]),
    }


def without_credentials(text: str) -> str:
    """Return `text` with the user and password of every URL replaced by "***"."""
    return _CREDENTIALS.sub("***@", text)


def without_secrets(value: Any, name: str = "") -> Any:
    """Return a parameter without credentials in URLs, and nothing of one whose name tells of a secret."""
    if value and any(word in name.lower() for word in _SECRET_NAMES):
        return "(hidden)"
    if isinstance(value, Mapping):
        return {key: without_secrets(entry, str(key)) for key, entry in value.items()}
    if isinstance(value, list):
        return [without_secrets(entry) for entry in value]
    return without_credentials(value) if isinstance(value, str) else value


def as_text(value: Any) -> str:
    """Return a parameter as text: JSON where it is no text itself."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
