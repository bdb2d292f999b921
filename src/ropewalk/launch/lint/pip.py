"""Rule `pip-at-start`: a pod that fetches packages at its start is slow, changes by itself, and needs the internet."""

import re
from collections.abc import Iterator

from ropewalk.launch.lint.document import Document
from ropewalk.launch.lint.finding import ERROR, WARNING, Finding
from ropewalk.launch.lint.rule import LintConfig, found

_PIP = re.compile(r"\b(pip3? +install|uv +pip +install|-m +pip +install)\b")


def check_pip(document: Document, config: LintConfig) -> Iterator[Finding]:
    """Yield a finding for each step whose command installs packages."""
    for container in document.containers:
        if any(_PIP.search(part) for part in container.spec.get("command", [])):
            yield found(
                document,
                "pip-at-start",
                ERROR if config.release else WARNING,
                (*container.place, "command"),
                message=f"{container.step} installs packages at every start: it needs a package index then, and gets "
                "whatever that has.",
                fix="Put the packages into the image; install_kfp_package=False and no packages_to_install.",
            )
