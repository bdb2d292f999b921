"""Rule `size`: what is compiled must fit into Kubernetes' objects."""

import json
from collections.abc import Iterator

from ropewalk.launch.lint.document import Document
from ropewalk.launch.lint.finding import ERROR, WARNING, Finding
from ropewalk.launch.lint.rule import LintConfig, found

ETCD_BYTES = 1024 * 1024
"""etcd takes 1.5 MiB in a request (--max-request-bytes); a run's status grows beside the plan."""
ANNOTATION_BYTES = 256 * 1024
"""Kubernetes' limit for all annotations of an object, where some servers keep parts of the plan."""
ARGO_BYTES_PER_TASK = 6 * 1024
"""What Argo's templates need for each task beside its own YAML: driver, pod and conditions (an estimate)."""


def check_size(document: Document, config: LintConfig) -> Iterator[Finding]:
    """Yield a finding when the Workflow that KFP makes of it would not fit, or might not."""
    tasks = sum(1 for _ in document.tasks())
    plan = len(json.dumps([document.spec, document.platform], separators=(",", ":")).encode())
    workflow = plan + tasks * ARGO_BYTES_PER_TASK
    fix = "Move code from components into the image's library, and big defaults into files or artifacts."
    if workflow > ETCD_BYTES:
        yield found(
            document,
            "size",
            ERROR,
            (),
            message=f"{plan:,} bytes and {tasks} tasks make an Argo Workflow of about {workflow:,} bytes, above the "
            f"{ETCD_BYTES:,} that are safe: etcd refuses it when a run starts or its status has grown.",
            fix=fix,
        )
    elif plan > ANNOTATION_BYTES:
        yield found(
            document,
            "size",
            WARNING,
            (),
            message=f"{plan:,} bytes are more than the {ANNOTATION_BYTES:,} that servers with the plan in annotations "
            "take.",
            fix=fix,
        )
