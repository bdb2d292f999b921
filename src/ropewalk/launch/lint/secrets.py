"""Rules `secret-*`: what stands in the YAML, or comes as a parameter, is read by everybody who sees the run."""

import re
from collections.abc import Iterator

from ropewalk.launch.lint.document import Document, Place, texts
from ropewalk.launch.lint.finding import ERROR, WARNING, Finding
from ropewalk.launch.lint.rule import LintConfig, found

_NAME = re.compile(
    r"(^|_)(password|passwd|passphrase|secret|token|api_?key|access_?key|private_?key|credentials?)s?($|_(value|id)$)",
    re.IGNORECASE,
)
_VALUES = {
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "an AWS access key": re.compile(r"\b(AKIA|ASIA)[0-9A-Z]{16}\b"),
    "a GitHub token": re.compile(r"\b(gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,})\b"),
    "a GitLab token": re.compile(r"\bglpat-[A-Za-z0-9_-]{20,}\b"),
    "a Slack token": re.compile(r"\bxox[abprs]-[A-Za-z0-9-]{10,}\b"),
    "a user and password in a URL": re.compile(r"\b[a-z][a-z0-9+.-]*://[^/\s:@{}\"'<>]+:[^/\s@{}\"'<>]+@[A-Za-z0-9]"),
}
FIX = "Keep it in a Kubernetes Secret, and name that in a profile's secrets; revoke it if it was real."


def check_secret_parameters(document: Document, config: LintConfig) -> Iterator[Finding]:
    """Yield a finding for each parameter of the pipeline whose name says that it is a secret."""
    for name, entry in document.spec["root"].get("inputDefinitions", {}).get("parameters", {}).items():
        if entry.get("parameterType") == "STRING" and _NAME.search(name):
            default = bool(entry.get("defaultValue"))
            yield found(
                document,
                "secret-parameter",
                ERROR if default else WARNING,
                ("root", "inputDefinitions", "parameters", name),
                message=f"The parameter {name!r} looks like a secret{' and has a default' if default else ''}: KFP "
                "stores parameters, shows them in the UI and hands them to caches and logs.",
                fix=FIX,
            )


def check_secret_values(document: Document, config: LintConfig) -> Iterator[Finding]:
    """Yield a finding for each text that is a secret by its form, and each variable that is one by its name."""
    for container in document.containers:
        for number, entry in enumerate(container.spec.get("env", [])):
            if _NAME.search(entry["name"]) and entry.get("value"):
                place = (*container.place, "env", number)
                message = f"{container.step}: the variable {entry['name']} has its value in the YAML."
                yield found(document, "secret-variable", ERROR, place, message=message, fix=FIX)
    for start in ("root", "components", "deploymentSpec"):
        for place, text in texts(document.spec.get(start, {}), (start,)):
            yield from _of_text(document, place, text)


def _of_text(document: Document, place: Place, text: str) -> Iterator[Finding]:
    for kind, pattern in _VALUES.items():
        if pattern.search(text):
            yield found(document, "secret-value", ERROR, place, message=f"Here stands {kind}.", fix=FIX)
