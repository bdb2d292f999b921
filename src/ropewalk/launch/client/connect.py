"""Which server: that of a profile's kfp section, of --host, or the one of the cluster that we are in."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import requests
import yaml

from ropewalk.cluster.patience import Patience
from ropewalk.config import parse_config
from ropewalk.errors import ConfigError
from ropewalk.launch.client.credentials import Credentials, find_credentials
from ropewalk.launch.client.dex import DexSession
from ropewalk.launch.client.forward import Address, Forwarded
from ropewalk.launch.client.server import PATIENCE, Server
from ropewalk.launch.connection_config import ConnectionConfig

HOST_ENV = "KF_PIPELINES_ENDPOINT"
"""kfp.Client's variable, too."""
_IN_POD = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_SERVICE = "http://ml-pipeline.kubeflow.svc.cluster.local:8888"


def read_connection(file: Path) -> ConnectionConfig:
    """Return the kfp section of the profile in the YAML file `file`.

    Only that section is read: to talk to a server, nothing that compiles pipelines has to be loaded.

    Raises:
        ConfigError: The file cannot be read, or the section is wrong; names the place.
    """
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"The profile {file} cannot be read ({error}). Give a YAML file.") from error
    section = (content or {}).get("kfp", {}) if isinstance(content, dict | None) else None
    if not isinstance(section, dict):
        raise ConfigError(f"The profile {file} has no settings under kfp. Write them as 'kfp:' with 'host: ...' below.")
    return parse_config(ConnectionConfig, section, section=f"{file.name}: kfp")


def find_connection(profile: Path | None, host: str, namespace: str) -> ConnectionConfig:
    """Return what the profile says, with what else was given taking its place.

    Raises:
        ConfigError: The profile is wrong, or nothing says where the server is.
    """
    config = read_connection(profile) if profile else ConnectionConfig()
    if host:
        config = replace(config, host=host, port_forward=None)
    elif not (config.host or config.port_forward):
        config = replace(config, host=os.environ.get(HOST_ENV, "") or _host_of_pod())
    if namespace:
        config = replace(config, namespace=namespace)
    if not (config.host or config.port_forward):
        raise ConfigError(
            f"No server is named. Give --host URL, or a --profile whose kfp section has host or port_forward, or set "
            f"{HOST_ENV}."
        )
    return config


def open_server(
    config: ConnectionConfig,
    *,
    patience: Patience = PATIENCE,
    notice: Callable[[str], None] = lambda text: None,
    credentials: Credentials | None = None,
) -> Server:
    """Return the server that `config` leads to. Nothing is asked of it yet.

    Args:
        config: Where it is, and how one logs in.
        patience: How long to wait for what.
        notice: Called with a line when the server is away for longer.
        credentials: What lets us in; None: what `config` names.

    Raises:
        ConfigError: A variable, file or certificate that is named is not there.
    """
    if config.ca_file and not Path(config.ca_file).expanduser().is_file():
        raise ConfigError(f"kfp.ca_file: there is no file {config.ca_file!r}. Name a PEM file of authorities.")
    session = requests.Session()
    address = Forwarded(config.port_forward) if config.port_forward else Address(config.host.rstrip("/"))
    options: dict[str, object] = {}
    if config.proxy:
        options["proxies"] = {"http": config.proxy, "https": config.proxy}
    if config.port_forward:
        options["proxies"] = {"no_proxy": "127.0.0.1"}
    if config.ca_file:
        options["verify"] = str(Path(config.ca_file).expanduser())
    if credentials is None:
        credentials = DexSession(config.dex, session, address.url, options) if config.dex else find_credentials(config)
    if config.host and type(credentials) is not Credentials and _sends_secrets_in_plain_text(config.host):
        notice(f"note: {config.host} is spoken to without TLS: your login can be read on the way. Use https://.")
    return Server(
        session,
        address,
        credentials,
        namespace=config.namespace,
        ui_url=config.ui_host.rstrip("/"),
        options=options,
        patience=patience,
        notice=notice,
    )


def choose_namespace(server: Server) -> None:
    """Work in this pod's own namespace, where several users share the server and none was named."""
    if not server.namespace and _IN_POD.exists() and (server.get("/healthz") or {}).get("multi_user"):
        server.namespace = _IN_POD.read_text(encoding="utf-8").strip()


def _sends_secrets_in_plain_text(host: str) -> bool:
    """Return whether what we show to be let in travels unencrypted, and further than inside a machine or cluster."""
    parts = urlsplit(host)
    name = parts.hostname or ""
    near = name == "127.0.0.1" or "." not in name or ".svc" in name
    return parts.scheme == "http" and not near


def _host_of_pod() -> str:
    return _SERVICE if "KUBERNETES_SERVICE_HOST" in os.environ and _IN_POD.exists() else ""
