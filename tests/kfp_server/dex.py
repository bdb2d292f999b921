"""A login as Kubeflow has it: oauth2-proxy in front of the API, and Dex with its static passwords behind that."""

import secrets
from http.cookies import SimpleCookie
from urllib.parse import parse_qs, urlsplit

from kfp_server.server import Handler, KfpServer

_CHOICE = '<html><a href="/dex/auth/google?state={0}">Google</a><a href="/dex/auth/local?state={0}">Email</a></html>'
_LOGIN = """<html><form method="post" action="/dex/auth/local/login?back=&amp;state={0}">
<input required name="login" type="text"/><input required name="password" type="password"/>
<button type="submit">Login</button>{1}</form></html>"""
_APPROVAL = """<html><form method="post"><input type="hidden" name="req" value="{0}"/>
<input type="hidden" name="approval" value="approve"><button>Grant Access</button></form>
<form method="post"><input type="hidden" name="req" value="{0}"/>
<input type="hidden" name="approval" value="rejected"><button>Cancel</button></form></html>"""
COOKIE = "oauth2_proxy_kubeflow"


class Dex:
    """Lets those in that know the password, and gives them a session on the server."""

    def __init__(
        self, server: KfpServer, passwords: dict[str, str], *, choice: bool = True, approval: bool = True
    ) -> None:
        self.logins = 0
        self._server = server
        self._passwords = passwords
        self._choice = choice
        self._approval = approval
        self._states: dict[str, str] = {}
        """Who has logged in, by the state of the login; "" nobody yet."""
        server.gate.cookie = COOKIE
        server.gate.closed = True
        server.gate.login = "/oauth2/start?rd=%2F"
        server.extras.append(self.answer)

    def end_sessions(self) -> None:
        """Have everybody log in again."""
        self._server.gate.sessions.clear()

    def answer(self, handler: Handler, path: str, content: str) -> bool:
        """Answer a page of the login; return False for anything else."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(handler.path).query).items()}
        fields = {name: values[0] for name, values in parse_qs(content).items()}
        state = query.get("state", query.get("req", ""))
        match handler.command, path:
            case "GET", "/oauth2/start":
                new = secrets.token_hex(8)
                self._states[new] = ""
                self._send_on(handler, f"/dex/auth?client_id=kubeflow&state={new}", cookies=(f"csrf={new}; Path=/",))
            case "GET", "/dex/auth" if self._choice:
                self._show(handler, _CHOICE.format(state))
            case "GET", "/dex/auth" | "/dex/auth/local":
                self._send_on(handler, f"/dex/auth/local/login?back=&state={state}")
            case "GET", "/dex/auth/local/login":
                self._show(handler, _LOGIN.format(state, ""))
            case "POST", "/dex/auth/local/login":
                self._check(handler, state, fields)
            case "GET", "/dex/approval":
                self._show(handler, _APPROVAL.format(state))
            case "POST", "/dex/approval" if fields.get("approval") == "approve" and fields.get("req") == state:
                self._send_on(handler, f"/oauth2/callback?code=c&state={state}")
            case "GET", "/oauth2/callback":
                self._let_in(handler, state)
            case _:
                return False
        return True

    def _check(self, handler: Handler, state: str, fields: dict[str, str]) -> None:
        user = fields.get("login", "")
        if state not in self._states or self._passwords.get(user) != fields.get("password"):
            self._show(handler, _LOGIN.format(state, "Invalid Email Address and password."), status=401)
            return
        self._states[state] = user
        self._send_on(handler, f"/dex/approval?req={state}" if self._approval else f"/oauth2/callback?state={state}")

    def _let_in(self, handler: Handler, state: str) -> None:
        brought = SimpleCookie(handler.headers.get("Cookie", ""))
        user = self._states.pop(state, "")
        if not user or "csrf" not in brought or brought["csrf"].value != state:
            self._show(handler, "<html>403 Permission Denied: CSRF token</html>", status=403)
            return
        self.logins += 1
        session = secrets.token_hex(8)
        self._server.gate.sessions[session] = user
        self._send_on(handler, "/", cookies=(f"{COOKIE}={session}; Path=/; HttpOnly",))

    def _show(self, handler: Handler, page: str, *, status: int = 200) -> None:
        handler.send(status, page.encode(), kind="text/html")

    def _send_on(self, handler: Handler, place: str, *, cookies: tuple[str, ...] = ()) -> None:
        handler.send(303 if handler.command == "POST" else 302, b"", headers={"Location": place}, cookies=cookies)
