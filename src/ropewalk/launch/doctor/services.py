"""Checks of servers that are spoken to over HTTP: Kubeflow Pipelines, MLflow, and the DVC remote."""

import os
from dataclasses import dataclass
from urllib.parse import urlsplit

from ropewalk.cluster.patience import Patience
from ropewalk.errors import RopewalkError
from ropewalk.launch.client.connect import open_server
from ropewalk.launch.connection_config import ConnectionConfig
from ropewalk.launch.doctor.result import Result, failed, ok, skipped, unknown
from ropewalk.launch.profiles.config import Profile

TIMEOUT = (5.0, 10.0)
"""Seconds to connect, and between two parts of an answer."""


def check_pipelines(config: ConnectionConfig, *, patience: Patience) -> list[Result]:
    """Look whether Kubeflow Pipelines' API answers, and lets us in as the profile says."""
    check = "Kubeflow Pipelines"
    if not config.host and not config.port_forward:
        return [skipped(check, "The profile names neither kfp.host nor kfp.port_forward.")]
    place = config.host or "What port_forward leads to"
    try:
        with open_server(config, patience=patience) as server:
            health = server.get("/healthz") or {}
            if health.get("multi_user") and not config.namespace:
                fix = "Name yours in kfp.namespace of the profile."
                return [failed(check, f"{place} has several users, and no namespace is named.", fix=fix)]
            server.get(
                "/experiments", {"page_size": "1", **({"namespace": config.namespace} if config.namespace else {})}
            )
    except RopewalkError as error:
        fix = "Correct the section kfp of the profile: host, login, ca_file, proxy; is a VPN needed?"
        return [failed(check, str(error), fix=fix)]
    return [ok(check, f"{place} is healthy, and lets you in.")]


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
    problem: str = ""
    """What kept an answer from coming; "" when one came."""


def _get(url: str) -> _Answer:
    """Return the answer of a server; redirects are not followed."""
    import requests

    try:
        with requests.get(url, timeout=TIMEOUT, allow_redirects=False, stream=True) as answer:
            return _Answer(status=answer.status_code)
    except requests.exceptions.SSLError:
        return _Answer(problem=f"The certificate of {url} is not trusted: name its authority's file.")
    except (requests.exceptions.RequestException, OSError) as error:
        kind = "does not answer in time" if isinstance(error, requests.exceptions.Timeout) else "cannot be reached"
        return _Answer(problem=f"{url} {kind} ({type(error).__name__}).")
