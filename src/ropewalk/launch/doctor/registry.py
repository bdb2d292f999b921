"""Checks whether the registry has the images (OCI Distribution Specification 1.1, "Checking if content exists")."""

import re
from collections.abc import Iterable
from typing import Any

from ropewalk.launch.doctor.result import Result, failed, ok, unknown
from ropewalk.launch.doctor.services import TIMEOUT

_TYPES = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


def check_images(images: Iterable[str]) -> list[Result]:
    """Ask the registry for each image, without a login, as a node without pull secrets would."""
    return [_image(image) for image in sorted(set(images))]


def _image(image: str) -> Result:
    import requests

    check = f"image {image.rpartition('/')[2]}"
    host, path, reference = parse_reference(image)
    scheme = "http" if host.partition(":")[0] in ("localhost", "127.0.0.1") else "https"
    url = f"{scheme}://{host}/v2/{path}/manifests/{reference}"
    try:
        answer = requests.head(url, headers={"Accept": _TYPES}, timeout=TIMEOUT)
        if answer.status_code == 401:
            token = _anonymous_token(answer.headers.get("WWW-Authenticate", ""))
            if token:
                headers = {"Accept": _TYPES, "Authorization": f"Bearer {token}"}
                answer = requests.head(url, headers=headers, timeout=TIMEOUT)
    except (requests.exceptions.RequestException, OSError) as error:
        fix = "Where only the cluster reaches the registry, look from a node: crictl pull " + image
        return unknown(check, f"{host} cannot be reached from here ({type(error).__name__}).", fix=fix)
    if answer.status_code == 200:
        return ok(check, f"{host} has it.")
    if answer.status_code in (401, 403):
        fix = f"Name images.pull_secrets in the profile. With a login, look: skopeo inspect docker://{image}"
        return unknown(check, f"{host} wants a login ({answer.status_code}).", fix=fix)
    if answer.status_code == 404:
        fix = "Push it, or correct images.registry and images.tag in the profile."
        return failed(check, f"{host} does not have {path} {reference}.", fix=fix)
    return unknown(check, f"{host} answers {answer.status_code}.", fix="Try again later.")


def parse_reference(image: str) -> tuple[str, str, str]:
    """Return host, path and reference (tag or digest) of an image; names without a host are Docker Hub's."""
    name, _, digest = image.partition("@")
    first, slash, rest = name.partition("/")
    if not slash or not ("." in first or ":" in first or first == "localhost"):
        first, rest = "registry-1.docker.io", name if slash else f"library/{name}"
    path, colon, tag = rest.rpartition(":")
    return first, path if colon else rest, digest or (tag if colon else "latest")


def _anonymous_token(challenge: str) -> str:
    """Return a token for everybody, by the registry's own challenge; "" when it gives none."""
    import requests

    given = dict(_CHALLENGE.findall(challenge))
    realm = given.pop("realm", "")
    if not challenge.lower().startswith("bearer") or not realm.startswith(
        ("https://", "http://127.0.0.1", "http://localhost")
    ):
        return ""
    answer = requests.get(realm, params=given, timeout=TIMEOUT)
    if answer.status_code != 200:
        return ""
    content: dict[str, Any] = answer.json()
    return str(content.get("token") or content.get("access_token") or "")
