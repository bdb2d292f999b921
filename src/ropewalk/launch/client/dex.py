"""Logs in by Dex's form, as a browser does: the session's cookies stay in this process."""

from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import requests
from requests import PreparedRequest, Response

from ropewalk.errors import ClusterError, ConfigError, ServiceError
from ropewalk.launch.client.credentials import Credentials, environment
from ropewalk.launch.connection_config import DexLogin

_TIMEOUT = (5.0, 30.0)
_STEPS = 4
"""Pages between the first request and the session: the choice of a way to log in, the form, the approval."""


class DexSession(Credentials):
    """Logs in when the first request is made, and again when the session has ended."""

    def __init__(self, login: DexLogin, session: requests.Session, host: str, options: dict[str, object]) -> None:
        self._login = login
        self._session = session
        self._host = host
        self._options = options
        self._inside = False
        self.hint = (
            f"Dex let {login.username_env} in, but the API does not know that user. Ask its administrator for access."
        )

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Add the session's cookies, after a login where there is none yet."""
        if not self._inside:
            self.renew()
            # The request was prepared before there was a session.
            request.headers.pop("Cookie", None)
            request.prepare_cookies(self._session.cookies)
        return request

    def renew(self) -> bool:
        """Log in."""
        self._session.cookies.clear()
        try:
            self._log_in()
        except requests.RequestException as error:
            raise ServiceError(f"The login at {self._host} broke off ({type(error).__name__}). Try again.") from error
        self._inside = True
        return True

    def _log_in(self) -> None:
        user = environment(self._login.username_env, "the user's name for Dex")
        password = environment(self._login.password_env, "the password for Dex")
        page = self._get(f"{self._host}/")
        if page.status_code == 403:  # oauth2-proxy shows a page with a button instead of sending us on
            page = self._get(urljoin(self._host, "/oauth2/start") + "?rd=/")
        for _ in range(_STEPS):
            form = _Form.of(page)
            if form.password:
                self._refuse_plain_text(form.action)
                page = self._post(form.action, {**form.fields, form.user: user, form.password: password})
                if _Form.of(page).password or page.status_code in (401, 403):
                    raise ClusterError(
                        f"Dex refused the login of the user in {self._login.username_env} with the password in "
                        f"{self._login.password_env}. Set both to those of a user that Dex knows."
                    )
            elif form.action and urlsplit(page.url).path.endswith("/approval"):
                page = self._post(form.action, {**form.fields, "approval": "approve"})
            elif form.choice:
                page = self._get(form.choice)
            else:
                break
        if not self._session.cookies:
            raise ConfigError(
                f"{self._host} shows no login form of Dex (it answered {page.status_code} at {_place(page.url)}). "
                "Check kfp.host, or name another way to log in."
            )

    def _refuse_plain_text(self, action: str) -> None:
        if urlsplit(self._host).scheme == "https" and urlsplit(action).scheme != "https":
            raise ClusterError(f"The login form sends passwords unencrypted to {_place(action)}: refused.")

    def _get(self, url: str) -> Response:
        return self._session.get(url, timeout=_TIMEOUT, auth=Credentials(), **self._options)  # type: ignore[arg-type]

    def _post(self, url: str, fields: dict[str, str]) -> Response:
        return self._session.post(url, fields, timeout=_TIMEOUT, auth=Credentials(), **self._options)  # type: ignore[arg-type]


class _Form(HTMLParser):
    """The first form of a page, and the link that leads to the login by password."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.action = ""
        self.fields: dict[str, str] = {}
        self.user = "login"
        self.password = ""
        self.choice = ""
        self._url = url

    @classmethod
    def of(cls, page: Response) -> "_Form":
        form = cls(page.url)
        if "html" in page.headers.get("Content-Type", ""):
            form.feed(page.text)
        return form

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take over what a tag says."""
        given = {name: value or "" for name, value in attrs}
        if tag == "form" and not self.action:
            self.action = urljoin(self._url, given.get("action") or self._url)
        if tag == "input":
            name = given.get("name", "")
            if given.get("type") == "password":
                self.password = name
            elif given.get("type") == "hidden":
                self.fields[name] = given.get("value", "")
            elif given.get("type") in ("text", "email"):
                self.user = name
        if tag == "a" and "/auth/local" in given.get("href", ""):
            self.choice = urljoin(self._url, given["href"])


def _place(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}{parts.path}"
