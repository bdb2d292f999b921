"""Credentials come from the environment only; messages name the variable, never its value."""

import base64
import os
import shlex
from pathlib import Path
from urllib.parse import urlsplit

from ropewalk.errors import SourceError

GIT_TOKEN = "ROPEWALK_GIT_TOKEN"  # noqa: S105 - the variable's name
SSH_KEY = "ROPEWALK_SSH_KEY"


def ssh_key() -> str | None:
    """Return the path of the private key that ROPEWALK_SSH_KEY names, or None.

    Raises:
        SourceError: There is no such file.
    """
    name = os.environ.get(SSH_KEY)
    if name and not Path(name).is_file():
        raise SourceError(f"{SSH_KEY} names a file that is not there. Give the path of a private SSH key.")
    return name or None


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
