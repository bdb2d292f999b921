"""Who is let in: by bearer token, by a session's cookie, or anybody."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookies import SimpleCookie

from kfp_server.refusal import UNKNOWN_USER, Refusal

ANYBODY = "anybody"


@dataclass(kw_only=True)
class Gate:
    """What requests must bring; a test changes it, also while the server runs."""

    tokens: dict[str, str] = field(default_factory=dict)
    """User by bearer token. When neither tokens nor sessions are set, everybody may come in."""
    sessions: dict[str, str] = field(default_factory=dict)
    """User by the value of the session's cookie."""
    cookie: str = "authservice_session"
    """Name of the session's cookie."""
    login: str = ""
    """Where a browser without a session is sent; "": to nowhere, it is refused."""
    closed: bool = False
    """Let nobody in that does not bring something."""
    user_agents: set[str] = field(default_factory=set)
    """Which programs came."""

    def user(self, headers: Mapping[str, str]) -> str:
        """Return who it is.

        Raises:
            Refusal: Nobody that is known.
        """
        self.user_agents.add(headers.get("User-Agent", ""))
        if not (self.tokens or self.sessions or self.closed):
            return ANYBODY
        kind, _, token = headers.get("Authorization", "").partition(" ")
        if kind == "Bearer" and token in self.tokens:
            return self.tokens[token]
        jar = SimpleCookie(headers.get("Cookie", ""))
        if self.cookie in jar and jar[self.cookie].value in self.sessions:
            return self.sessions[jar[self.cookie].value]
        raise Refusal(UNKNOWN_USER, "Request header error: there is no user identity header.")
