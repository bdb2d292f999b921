"""Credentials come from the environment only; messages name the variable, never its value."""

import base64
import os
import shlex
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ropewalk.errors import SourceError

GIT_TOKEN = "ROPEWALK_GIT_TOKEN"  # noqa: S105 - the variable's name
SSH_KEY = "ROPEWALK_SSH_KEY"

_REFUSALS = (
    *("permission", "authentication", "credential", "forbidden", "access denied", "accessdenied", "unauthorized"),
    *("401", "403", "signaturedoesnotmatch", "invalidaccesskeyid"),
)
_VARIABLES = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or AWS_PROFILE)",
    "ssh": f"{SSH_KEY} (the path of a private key) and check that ~/.ssh/known_hosts has the server",
}


def ssh_key() -> str | None:
    """Return the path of the private key that ROPEWALK_SSH_KEY names, or None.

    Raises:
        SourceError: There is no such file.
    """
    name = os.environ.get(SSH_KEY)
    if name and not Path(name).is_file():
        raise SourceError(f"{SSH_KEY} names a file that is not there. Give the path of a private SSH key.")
    return name or None


def use_ssh_key(remote: dict[str, Any]) -> None:
    """Have a DVC remote behind SSH take the key that ROPEWALK_SSH_KEY names.

    Raises:
        SourceError: ROPEWALK_SSH_KEY names no file.
    """
    key = ssh_key()
    if key and str(remote.get("url", "")).startswith("ssh://"):
        remote["keyfile"] = key


def is_refusal(said: str) -> bool:
    """Say whether a server's or library's message means that the credentials do not let in."""
    return any(word in said.lower() for word in _REFUSALS)


def no_access(remote: str, protocol: str, said: str) -> SourceError:
    """Return the error that names the variables which let into a DVC remote ("s3", "ssh", ...)."""
    variables = _VARIABLES.get(protocol, "the credentials that the remote's configuration names")
    return SourceError(f"There is no access to the DVC remote {remote!r}: {said}. Set {variables}.")


def git_environment(repository: str) -> dict[str, str]:
    """Return the variables that let git into `repository`: a token goes to its https server alone.

    Raises:
        SourceError: ROPEWALK_SSH_KEY names no file.
    """
    key = ssh_key()
    with_key = f" -oIdentitiesOnly=yes -i {shlex.quote(key)}" if key else ""
    given = {"GIT_SSH_COMMAND": os.environ.get("GIT_SSH_COMMAND") or f"ssh -oBatchMode=yes{with_key}"}
    token, address = os.environ.get(GIT_TOKEN), urlsplit(repository) if "://" in repository else None
    if not token or address is None or address.scheme != "https":
        return given
    encoded = base64.b64encode(f"x-access-token:{token}".encode()).decode()
    already = int(os.environ.get("GIT_CONFIG_COUNT") or 0)
    return given | {
        "GIT_CONFIG_COUNT": str(already + 1),
        f"GIT_CONFIG_KEY_{already}": f"http.https://{address.netloc}/.extraHeader",
        f"GIT_CONFIG_VALUE_{already}": f"Authorization: Basic {encoded}",
    }
