"""What a request shows to be let in: a bearer token, a session's cookies, or nothing; never printed, never stored."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from requests import PreparedRequest
from requests.auth import AuthBase

from ropewalk.errors import ConfigError
from ropewalk.launch.connection_config import ConnectionConfig

SERVICE_ACCOUNT_TOKEN = "/var/run/secrets/kubeflow/pipelines/token"  # noqa: S105 (a path)
"""Where Kubeflow mounts a pod's token for the pipelines' API (kfp.client.KF_PIPELINES_SA_TOKEN_PATH)."""
TOKEN_ENV = "ROPEWALK_KFP_TOKEN"  # noqa: S105 (a name)
COOKIES_ENV = "ROPEWALK_KFP_COOKIES"
_COMMAND_SECONDS = 60.0


class Credentials(AuthBase):
    """Nothing: the API is open, or lets nobody in."""

    hint = (
        "No login is set. Name one in the profile's kfp section (existing_token_file, token_env, token_command, "
        f"cookies_env or dex), or put a token into {TOKEN_ENV}."
    )
    """What a person can do when the server does not know us."""

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Leave the request as it is; being called at all keeps the passwords of a .netrc out of it."""
        return request

    def renew(self) -> bool:
        """Return whether another try may be let in, after the server did not know us."""
        return False


class Token(Credentials):
    """A bearer token, from wherever `read` gets it."""

    def __init__(self, read: Callable[[], str], *, source: str, keep: bool) -> None:
        self._read = read
        self._source = source
        self._keep = keep
        self._kept = ""
        self.hint = f"The bearer token is from {source}: it is wrong, or has expired. Get a new one there."

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Add the token; one that is not kept is read for every request, because tokens are rotated."""
        if not (self._keep and self._kept):
            self._kept = self._usable(self._read())
        request.headers["Authorization"] = f"Bearer {self._kept}"
        return request

    def renew(self) -> bool:
        """Read the token again, and say whether it is another one."""
        before, self._kept = self._kept, self._usable(self._read())
        return self._kept != before

    def _usable(self, text: str) -> str:
        token = text.strip()
        if not token:
            raise ConfigError(f"The token from {self._source} is empty. Put a bearer token there.")
        if len(token.split()) != 1 or not (token.isascii() and token.isprintable()):
            raise ConfigError(
                f"What comes from {self._source} is no bearer token: it has {len(token.split())} words "
                f"({len(token)} characters). Only the token itself may be there."
            )
        return token


class Cookies(Credentials):
    """A session's cookies, as a browser sends them."""

    def __init__(self, variable: str) -> None:
        self._variable = variable
        self.hint = (
            f"The session's cookies are from {variable}: they are wrong, or the session has ended. Log in with a "
            "browser, and copy the request header Cookie."
        )

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Add the cookies."""
        cookies = environment(self._variable, "the cookies of a session").strip()
        # What http.client refuses it puts into its message.
        if not (cookies.isascii() and cookies.isprintable() and "=" in cookies):
            raise ConfigError(
                f"{self._variable} holds no cookies ({len(cookies)} characters). Copy the request header Cookie of a "
                "browser that is logged in, such as authservice_session=..."
            )
        request.headers["Cookie"] = cookies
        return request


def find_credentials(config: ConnectionConfig) -> Credentials:
    """Return what `config` names; without a name ROPEWALK_KFP_TOKEN, ROPEWALK_KFP_COOKIES, or the pod's own token.

    A login by Dex is made by `ropewalk.launch.client.dex`, because it needs the connection.

    Raises:
        ConfigError: A variable or file that is named is not there.
    """
    if config.existing_token_file:
        return _token_of_file(config.existing_token_file)
    if config.token_command:
        return _token_of_command(config.token_command)
    if config.token_env or os.environ.get(TOKEN_ENV):
        return _token_of_variable(config.token_env or TOKEN_ENV)
    if config.cookies_env or os.environ.get(COOKIES_ENV):
        cookies = Cookies(config.cookies_env or COOKIES_ENV)
        environment(config.cookies_env or COOKIES_ENV, "the cookies of a session")
        return cookies
    mounted = os.environ.get("KF_PIPELINES_SA_TOKEN_PATH") or SERVICE_ACCOUNT_TOKEN
    return _token_of_file(mounted) if Path(mounted).exists() else Credentials()


def _token_of_variable(variable: str) -> Token:
    environment(variable, "a bearer token")
    return Token(lambda: environment(variable, "a bearer token"), source=variable, keep=False)


def _token_of_file(name: str) -> Token:
    file = Path(name).expanduser()
    token = Token(lambda: _contents(file), source=f"the file {file}", keep=False)
    _contents(file)
    return token


def _token_of_command(command: tuple[str, ...]) -> Token:
    return Token(lambda: _output(command), source=f"the command {command[0]!r}", keep=True)


def environment(variable: str, what: str) -> str:
    """Return the value of an environment variable.

    Raises:
        ConfigError: It is not set; `what` says what it must hold.
    """
    value = os.environ.get(variable, "")
    if not value:
        raise ConfigError(f"The environment variable {variable} is not set. It must hold {what}.")
    return value


def _contents(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ConfigError(f"The token file {file} cannot be read: {reason}.") from error


def _output(command: tuple[str, ...]) -> str:
    try:
        ended = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_COMMAND_SECONDS, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        reason = error.strerror if isinstance(error, OSError) else f"no answer within {_COMMAND_SECONDS:.0f} s"
        raise ConfigError(f"The token command {command[0]!r} cannot be run: {reason}.") from error
    if ended.returncode:
        said = next((line for line in reversed(ended.stderr.splitlines()) if line.strip()), "it said nothing")
        raise ConfigError(
            f"The token command {command[0]!r} failed with exit code {ended.returncode}: {said.strip()[:300]}"
        )
    return ended.stdout
