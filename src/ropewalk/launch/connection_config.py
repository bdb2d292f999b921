"""How Kubeflow Pipelines' API is reached: a profile's `kfp` section, which holds names, never secrets."""

from dataclasses import dataclass

from ropewalk.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class DexLogin:
    """A login by Dex's static-password form, as deployKF and the Kubeflow manifests offer it."""

    username_env: str
    """The environment variable that holds the user's name, mostly an e-mail address."""
    password_env: str
    """The environment variable that holds the password."""

    def __post_init__(self) -> None:
        _check_env("dex.username_env", self.username_env)
        _check_env("dex.password_env", self.password_env)


@dataclass(frozen=True, kw_only=True)
class PortForward:
    """A Kubernetes Service that is reached through the cluster's own API, where nothing else leads there."""

    namespace: str = "kubeflow"
    """Where the Service is."""
    service: str = "ml-pipeline"
    """The Service's name."""
    port: int = 8888
    """The Service's port, 1 to 65535."""

    def __post_init__(self) -> None:
        if not 1 <= self.port <= 65535:
            raise ConfigError(f"port_forward.port={self.port}: need 1 to 65535.")
        for name in ("namespace", "service"):
            if not getattr(self, name):
                raise ConfigError(
                    f"port_forward.{name}: need a name, such as {'ml-pipeline' if name == 'service' else 'kubeflow'!r}."
                )


@dataclass(frozen=True, kw_only=True)
class ConnectionConfig:
    """Where Kubeflow Pipelines' API is, and how one logs in. At most one of the ways to log in may be given."""

    host: str = ""
    """The API's URL, such as "https://kubeflow.example.org/pipeline"; "": inside a cluster its own Service."""
    ui_host: str = ""
    """The URL that people open runs at; "": `host`."""
    namespace: str = ""
    """The Kubernetes namespace that runs are made in; "": the one of a single-user installation."""
    experiment: str = ""
    """The experiment that runs belong to; "": the server's default."""
    service_account: str = ""
    """The service account that runs use, all steps of them; "": the server's default, "default-editor" or
    "pipeline-runner"."""
    existing_token_file: str = ""
    """A file that holds a bearer token; it is read anew before each call, because tokens are rotated."""
    token_env: str = ""
    """The environment variable that holds a bearer token."""
    token_command: tuple[str, ...] = ()
    """The command that prints a bearer token, run anew when the last one has expired, without a shell."""
    cookies_env: str = ""
    """The environment variable that holds a session's cookies, as a browser sends them: "authservice_session=..."."""
    ca_file: str = ""
    """The PEM file of the certificate authorities to trust; "": those of the machine."""
    proxy: str = ""
    """The HTTP proxy's URL, without user and password; "": what HTTPS_PROXY and NO_PROXY say."""
    verify: bool = True
    """Certificates are always checked: false is refused. An own authority belongs into `ca_file`."""
    dex: DexLogin | None = None
    """A login by Dex."""
    port_forward: PortForward | None = None
    """A Service that is reached by port-forward, with the current kubeconfig; then `host` stays empty."""

    def __post_init__(self) -> None:
        if not self.verify:
            raise ConfigError("verify=False: certificates are always checked. Name your own authority in ca_file.")
        for name in ("host", "ui_host", "proxy"):
            _check_url(name, getattr(self, name))
        for name in ("token_env", "cookies_env"):
            if getattr(self, name):
                _check_env(name, getattr(self, name))
        if self.host and self.port_forward:
            raise ConfigError("host and port_forward are both given: keep the one that leads to the API.")
        if len(self.logins) > 1:
            raise ConfigError(f"{' and '.join(self.logins)} are all given: keep one way to log in.")

    @property
    def logins(self) -> tuple[str, ...]:
        """The ways to log in that are given."""
        ways = ("existing_token_file", "token_env", "token_command", "cookies_env", "dex")
        return tuple(way for way in ways if getattr(self, way))


def _check_url(name: str, value: str) -> None:
    if not value:
        return
    if not value.startswith(("http://", "https://")):
        raise ConfigError(f"{name}={value!r}: need a URL, such as 'https://kubeflow.example.org/pipeline'.")
    if "@" in value.split("://", 1)[1].split("/", 1)[0]:
        raise ConfigError(f"{name}: holds a user or password. Give the URL alone; secrets stay in the environment.")


def _check_env(name: str, value: str) -> None:
    if not value.isidentifier():
        raise ConfigError(f"{name}={value!r}: need the name of an environment variable, not its value.")
