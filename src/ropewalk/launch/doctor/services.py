"""Checks of servers that are spoken to over HTTP: Kubeflow Pipelines, MLflow, and the DVC remote."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ropewalk.launch.connection_config import ConnectionConfig
from ropewalk.launch.doctor.result import Result, failed, ok, skipped, unknown
from ropewalk.launch.profiles.config import Profile

TIMEOUT = (5.0, 10.0)
"""Seconds to connect, and between two parts of an answer."""
HEALTH = "/apis/v2beta1/healthz"
_LONGEST = 64 * 1024
_LOGIN = {301, 302, 303, 307, 308, 401, 403}


def check_pipelines(config: ConnectionConfig) -> list[Result]:
    """Look whether Kubeflow Pipelines' API answers."""
    check = "Kubeflow Pipelines"
    if not config.host:
        told = "It is reached by port-forward." if config.port_forward else "The profile names no kfp.host."
        return [skipped(check, told)]
    if config.ca_file and not Path(config.ca_file).expanduser().is_file():
        return [failed(check, f"There is no file {config.ca_file}.", fix="Correct kfp.ca_file in the profile.")]
    ca_file = str(Path(config.ca_file).expanduser()) if config.ca_file else ""
    answer = _get(config.host.rstrip("/") + HEALTH, ca_file=ca_file, proxy=config.proxy)
    if answer.problem:
        return [
            failed(check, answer.problem, fix="Correct kfp.host, ca_file or proxy in the profile; is a VPN needed?")
        ]
    if answer.status in _LOGIN:
        return [ok(check, f"{config.host} answers, and wants a login.")]
    health = _json(answer.text)
    if answer.status != 200 or health is None:
        fix = "Correct kfp.host: its path must be that of the API, often /pipeline."
        told = "with something else than its health" if answer.status == 200 else str(answer.status)
        return [failed(check, f"{config.host} answers {told} to {HEALTH}.", fix=fix)]
    if health.get("multi_user") and not config.namespace:
        fix = "Name yours in kfp.namespace of the profile."
        return [failed(check, f"{config.host} has several users, and no namespace is named.", fix=fix)]
    return [ok(check, f"{config.host} is healthy.")]


def check_mlflow(profile: Profile) -> list[Result]:
    """Look whether MLflow answers, where it can be reached from here."""
    uri = profile.mlflow.tracking_uri
    if not uri:
        return [skipped("MLflow", "The profile names no mlflow.tracking_uri: it is the pipeline's parameter.")]
    return [_server("MLflow", uri, "/health", fix="Correct mlflow.tracking_uri, or start the server.")]


def check_dvc_remote(profile: Profile) -> list[Result]:
    """Look whether the DVC remote's server answers, where it can be reached from here."""
    url = profile.dvc.endpoint_url
    if not url:
        return [skipped("DVC remote", "The profile names no dvc.endpoint_url: repositories name their own remotes.")]
    return [_server("DVC remote", url, "", fix="Correct dvc.endpoint_url, or start the server.")]


def _server(check: str, url: str, path: str, *, fix: str) -> Result:
    look = (
        f"See from a pod: kubectl run look --rm -i --restart=Never --image=curlimages/curl -- curl -sSm 10 {url}{path}"
    )
    inside = "KUBERNETES_SERVICE_HOST" in os.environ
    if not inside and _only_inside(urlsplit(url).hostname or ""):
        return unknown(check, f"{url} is a name inside the cluster.", fix=look)
    answer = _get(url.rstrip("/") + path)
    if answer.problem and inside:
        return failed(check, answer.problem, fix=fix)
    if answer.problem:
        return unknown(check, f"From here, {answer.problem}", fix=f"{fix} {look}")
    if answer.status >= 500:
        return failed(check, f"{url} answers {answer.status}.", fix=fix)
    return ok(check, f"{url} answers.")


def _only_inside(host: str) -> bool:
    """Return whether a name means a Service of a cluster: "mlflow", "mlflow.mlflow", "mlflow.mlflow.svc"."""
    parts = host.split(".")
    if host == "localhost":
        return False
    return (
        len(parts) == 1
        or parts[-1] == "svc"
        or host.endswith(".cluster.local")
        or (len(parts) == 2 and parts[0] == parts[1])
    )


@dataclass(frozen=True, kw_only=True)
class _Answer:
    """What came back."""

    status: int = 0
    text: str = ""
    """The beginning of the body."""
    problem: str = ""
    """What kept an answer from coming; "" when one came."""


def _get(url: str, *, ca_file: str = "", proxy: str = "") -> _Answer:
    """Return the answer of a server; redirects are not followed."""
    import requests

    proxies = {"http": proxy, "https": proxy} if proxy else None
    try:
        with requests.get(
            url, timeout=TIMEOUT, allow_redirects=False, stream=True, verify=ca_file or True, proxies=proxies
        ) as answer:
            body = next(answer.iter_content(_LONGEST), b"")
            return _Answer(status=answer.status_code, text=body.decode(errors="replace"))
    except requests.exceptions.SSLError:
        return _Answer(problem=f"The certificate of {url} is not trusted: name its authority's file.")
    except (requests.exceptions.RequestException, OSError) as error:
        kind = "does not answer in time" if isinstance(error, requests.exceptions.Timeout) else "cannot be reached"
        return _Answer(problem=f"{url} {kind} ({type(error).__name__}).")


def _json(text: str) -> dict[str, Any] | None:
    try:
        content = json.loads(text)
    except ValueError:
        return None
    return content if isinstance(content, dict) else None
