"""Webhook: tells a chat room or another service how a run ended. The URL is a secret: it is never shown."""

import os
import time
from collections.abc import Mapping
from typing import Any

import requests

from ropewalk.progress import say

VARIABLE = "ROPEWALK_WEBHOOK_URL"

_TIMEOUT_SECONDS = 10
_WAITS_SECONDS = (0, 1, 3)


def notify(payload: Mapping[str, Any]) -> bool:
    """Post `payload` as JSON to $ROPEWALK_WEBHOOK_URL; return whether it was delivered.

    Without the variable nothing is sent. A webhook that fails is reported in the log, never raised: it must not
    fail a run that passed, nor hide why another one failed.
    """
    url = os.environ.get(VARIABLE, "")
    if not url:
        return False
    problem = ""
    for wait in _WAITS_SECONDS:
        time.sleep(wait)
        problem, worth_retrying = _post(url, payload)
        if not problem:
            say("Notification sent.")
            return True
        if not worth_retrying:
            break
    say(
        f"WARNING: nobody was notified of this run: the address in {VARIABLE} gave {problem}. "
        "Check the secret that it comes from."
    )
    return False


def _post(url: str, payload: Mapping[str, Any]) -> tuple[str, bool]:
    """Return what went wrong ("" for nothing), and whether trying again may help."""
    try:
        response = requests.post(url, json=payload, timeout=_TIMEOUT_SECONDS, allow_redirects=False)
    except requests.RequestException as error:
        # The exception's text holds the URL, so only its kind is told.
        return type(error).__name__, isinstance(error, requests.ConnectionError | requests.Timeout)
    if response.ok and not response.is_redirect:
        return "", False
    return f"HTTP status {response.status_code}", response.status_code >= 500 or response.status_code == 429
