"""What the API's answers mean that are no results, and what to do about them."""

import re
from urllib.parse import urlsplit

from requests import Response
from requests.exceptions import ConnectionError as NoConnection
from requests.exceptions import InvalidURL, ProxyError, RequestException, SSLError

from ropewalk.cluster.patience import LONGEST_PAUSE
from ropewalk.errors import ClusterError, ConfigError, RopewalkError, ServiceError

_CREDENTIALS = re.compile(r"//[^/@\s]*@")
_ADDRESS = re.compile(r"\b0x[0-9a-f]+\b|<[\w.]+ object at [^>]*>:?")
_LOGIN = ("auth", "dex", "login", "oauth2")


def asks_for_login(response: Response) -> bool:
    """Return whether the server does not know us: it says so, or sends a browser to a login."""
    if response.status_code == 401:
        return True
    target = urlsplit(response.headers.get("Location", ""))
    return response.is_redirect and any(word in f"{target.hostname}{target.path}" for word in _LOGIN)


def explained(response: Response, host: str, namespace: str, hint: str) -> RopewalkError:
    """Return our error for an answer that trying again does not change.

    Args:
        response: The answer.
        host: The API's address.
        namespace: Where it was asked; "" is a single-user installation.
        hint: What to do when the server does not know us.
    """
    status, said = response.status_code, message_of(response)
    if asks_for_login(response):
        return ClusterError(f"{host} does not know us ({status}). {hint}")
    if response.is_redirect:
        return _redirected(response, host)
    if status == 403:
        where = f" in namespace {namespace}" if namespace else ""
        return ClusterError(
            f"{host} does not allow it{where} (403): {said}. Check the namespace (kfp.namespace or --namespace), or "
            "have an administrator give this account the role kubeflow-edit there."
        )
    if status == 404 and "json" not in response.headers.get("Content-Type", ""):
        return not_the_api(host, f"{urlsplit(response.url).path} is not there (404)")
    if status == 404:
        return ClusterError(f"{host} does not have it (404): {said}.")
    if status == 400 and not namespace and "namespace" in said.lower():
        return ConfigError(
            f"{host} has several users: name your namespace (kfp.namespace or --namespace). It said: {said}"
        )
    if status == 400 and namespace and "single-user" in said.lower():
        return ConfigError(f"{host} has one user: leave the namespace empty (now {namespace!r}). It said: {said}")
    return ClusterError(f"{host} refused ({status}): {said}.")


def not_the_api(host: str, found: str) -> ConfigError:
    """Return the error for an address where something else is."""
    return ConfigError(
        f"{host} is not the API of Kubeflow Pipelines: {found}. Give the address that has /apis/v2beta1, such as "
        "https://kubeflow.example.org/pipeline."
    )


def no_answer(error: RequestException, host: str) -> RopewalkError | None:
    """Return our error for a connection that will not come about by itself, None when it may."""
    if isinstance(error, ProxyError):
        return ServiceError(
            f"The proxy on the way to {host} does not let us through: {reason(error)}. Check kfp.proxy, "
            "HTTPS_PROXY and NO_PROXY."
        )
    if isinstance(error, SSLError):
        return ConfigError(
            f"{host} cannot be trusted: {reason(error)}. Where it has an own certificate authority, name its PEM file "
            "in kfp.ca_file; where it speaks plain HTTP, write http://."
        )
    if isinstance(error, InvalidURL):
        return ConfigError(f"{host} is no address: {reason(error)}. Check kfp.host or --host.")
    if isinstance(error, NoConnection) and re.search("Name or service not known|Failed to resolve", str(error)):
        return ConfigError(f"{host} cannot be found: {reason(error)}. Check kfp.host or --host.")
    return None


def message_of(response: Response) -> str:
    """Return what the server says."""
    try:
        body = response.json()
    except ValueError:
        body = None
    if isinstance(body, dict):
        text = str(body.get("message") or body.get("error_message") or body.get("error") or "")
    else:
        html = "html" in response.headers.get("Content-Type", "")
        text = "" if html else response.text
    return _CREDENTIALS.sub("//", text.strip()[:600]).rstrip(".") or response.reason or "it says nothing"


def reason(error: BaseException) -> str:
    """Return why a request failed, by the innermost of its causes."""
    inner: BaseException = error
    while True:
        cause = (
            getattr(inner, "reason", None)
            or inner.__cause__
            or next((part for part in inner.args if isinstance(part, BaseException)), None)
        )
        if not isinstance(cause, BaseException) or cause is inner:
            break
        inner = cause
    text = _ADDRESS.sub("", str(inner)).strip(" :.") or type(inner).__name__
    return _CREDENTIALS.sub("//", text)[:300]


def asked_pause(response: Response) -> float:
    """Return the seconds that the server asks for before the next try, 0 when it asks for none."""
    asked = response.headers.get("Retry-After", "")
    return min(float(asked), LONGEST_PAUSE) if asked.isdigit() else 0.0


def _redirected(response: Response, host: str) -> RopewalkError:
    target = urlsplit(response.headers.get("Location", ""))
    here = urlsplit(host)
    if target.scheme == "https" and here.scheme == "http":
        return ConfigError(f"{host} wants to be spoken to by TLS: write https://{here.netloc}{here.path}.")
    return not_the_api(host, f"it sends us to {target.scheme}://{target.hostname}{target.path}")
