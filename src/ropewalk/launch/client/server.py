"""The API: few calls, each patient with what passes by itself, none made twice by mistake, each refusal explained."""

import email.utils
import json
import random
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import requests
from requests.exceptions import ConnectTimeout, RequestException

from ropewalk import __version__
from ropewalk.cluster.patience import LONGEST_PAUSE, Patience
from ropewalk.errors import RopewalkError, ServiceError
from ropewalk.launch.client import refusals
from ropewalk.launch.client.credentials import Credentials
from ropewalk.launch.client.forward import Address

API = "/apis/v2beta1"
PATIENCE = Patience(shortest_poll=2.0, longest_poll=15.0)
"""A run takes minutes: nobody needs to know within a second."""
_PASSING = {429, 500, 502, 503, 504}
_UNSURE = {409, 500, 502, 504}
"""After these, what was asked for may be there all the same."""
_TIMEOUT = (5.0, 60.0)
_FEW = 4
"""Tries at a server that has never answered, or that answers 500: most of these never pass."""
_PAGE = 100

Found = Callable[[], dict[str, Any] | None]


class Server:
    """Kubeflow Pipelines' API, as seen by one user. Close it, or use it as a context manager."""

    def __init__(
        self,
        session: requests.Session,
        address: Address,
        credentials: Credentials,
        *,
        namespace: str = "",
        ui_url: str = "",
        options: Mapping[str, Any] | None = None,
        patience: Patience = PATIENCE,
        notice: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.namespace = namespace
        self.patience = patience
        self._session = session
        self._session.headers["User-Agent"] = f"ropewalk/{__version__}"
        self._address = address
        self._credentials = credentials
        self._ui_url = ui_url
        self._options = dict(options or {})
        self._notice = notice
        self._reached = False
        self._ahead = 0.0

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._session.close()
        self._address.close()

    @property
    def host(self) -> str:
        """What messages call the API: its address."""
        return self._address.name

    @property
    def ui_url(self) -> str:
        """Address of the pages that people look at."""
        return self._ui_url or self._address.url

    def now(self) -> float:
        """Return the server's time, in seconds since the epoch: its clock may differ from ours."""
        return time.time() + self._ahead

    def get(self, path: str, query: Mapping[str, str] | None = None, *, absent: bool = False) -> dict[str, Any] | None:
        """Return what is at `path`; None when it is not there and may be `absent`.

        Raises:
            ClusterError: The server refuses.
            ServiceError: It cannot be reached, or is down for longer than we are patient.
            ConfigError: What is there is not the API.
        """
        return self._send("GET", path, query=query, quiet={404} if absent else set())

    def post(
        self,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, str] | None = None,
        upload: bytes | None = None,
        found: Found | None = None,
    ) -> dict[str, Any]:
        """Have something made or done, and return the answer.

        Args:
            path: Where.
            body: What, as JSON.
            query: Parameters of the URL.
            upload: A file to send instead of a body.
            found: Returns what was asked for when it is there already. It is asked when an answer got lost or says
                that there is one of that name: so nothing is made twice.

        Raises:
            ClusterError, ServiceError, ConfigError: As `get`.
        """
        return self._send("POST", path, query=query, body=body, upload=upload, found=found) or {}

    def act(self, path: str) -> bool:
        """Have something done to what is there, and return whether it still was there.

        Raises:
            ClusterError, ServiceError, ConfigError: As `get`.
        """
        return self._send("POST", path, quiet={404}) is not None

    def delete(self, path: str) -> None:
        """Have what is at `path` deleted; one that is gone is left gone."""
        self._send("DELETE", path, quiet={404})

    def pages(self, path: str, kind: str, query: Mapping[str, str] | None = None) -> Iterator[dict[str, Any]]:
        """Yield the items of a list, page by page; `kind` is the list's name in the answer."""
        asked = {"page_size": str(_PAGE), **(query or {})}
        while True:
            page = self.get(path, asked) or {}
            yield from page.get(kind) or []
            if not page.get("next_page_token"):
                return
            asked["page_token"] = page["next_page_token"]

    def open_text(self, path: str, query: Mapping[str, str] | None = None) -> requests.Response | None:
        """Return the open stream of a text, None when this server has none there. Close it."""
        try:
            response = self._request("GET", path, query, stream=True)
            if refusals.asks_for_login(response) and self._credentials.renew():
                response.close()
                response = self._request("GET", path, query, stream=True)
        except RequestException as error:
            raise ServiceError(f"{self.host} broke off: {refusals.reason(error)}. Try again.") from error
        if response.status_code == 200 and response.headers.get("Content-Type", "").startswith("text/plain"):
            return response
        response.close()
        return None

    def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        upload: bytes | None = None,
        quiet: set[int] | frozenset[int] = frozenset(),
        found: Found | None = None,
    ) -> dict[str, Any] | None:
        trial = _Trial(self.patience)
        while True:
            problem: RequestException | requests.Response
            try:
                response = self._request(method, API + path, query, body=body, upload=upload)
            except RequestException as error:
                problem, trial.unsure = error, trial.unsure or not isinstance(error, ConnectTimeout)
            else:
                if response.ok and not response.is_redirect:
                    self._end_outage(trial)
                    return self._content(response)
                if response.status_code in quiet and "json" in response.headers.get("Content-Type", ""):
                    return None
                if not self._may_help(response, trial, found):
                    raise self._explained(response)
                problem = response
                trial.unsure = trial.unsure or response.status_code in _UNSURE
            self._wait(problem, trial)
            if found and trial.unsure and (there := found()):
                return there

    def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        *,
        body: Mapping[str, Any] | None = None,
        upload: bytes | None = None,
        stream: bool = False,
    ) -> requests.Response:
        response = self._session.request(
            method,
            self._address.url + path,
            params=query,
            json=body,
            files={"uploadfile": ("pipeline.yaml", upload, "application/x-yaml")} if upload is not None else None,
            auth=self._credentials,
            allow_redirects=False,
            timeout=_TIMEOUT,
            stream=stream,
            **self._options,
        )
        date = email.utils.parsedate_tz(response.headers.get("Date", ""))
        if date:
            self._ahead = email.utils.mktime_tz(date) + 0.5 - time.time()  # a date has whole seconds
        return response

    def _may_help(self, response: requests.Response, trial: "_Trial", found: Found | None) -> bool:
        """Return whether to try again after this answer."""
        if refusals.asks_for_login(response):
            trial.again_at_once = not trial.renewed and self._credentials.renew()
            trial.renewed = True
            return trial.again_at_once
        if response.status_code == 409 and found and trial.conflicts < _FEW:
            trial.conflicts += 1
            return True
        return response.status_code in _PASSING and not (response.status_code == 500 and trial.failures >= _FEW)

    def _wait(self, problem: "RequestException | requests.Response", trial: "_Trial") -> None:
        """Pause before the next try, or give up."""
        if trial.again_at_once:
            trial.again_at_once = False
            return
        if isinstance(problem, requests.Response) and problem.status_code == 409:
            time.sleep(trial.pause * random.uniform(0.5, 1.0))  # no outage: what took the name is there, or soon is
            return
        trial.failures += 1
        if isinstance(problem, RequestException):
            hopeless = refusals.no_answer(problem, self.host)
            if hopeless and not self._reached:
                raise hopeless from problem
            told = refusals.reason(problem)
        else:
            trial.pause = max(trial.pause, refusals.asked_pause(problem))
            told = f"{problem.status_code}: {refusals.message_of(problem)}"
            self._reached = True
        never_there = not self._reached and trial.failures >= _FEW
        if never_there or time.monotonic() + trial.pause > trial.deadline:
            raise self._unreachable(told, never=never_there) from (
                problem if isinstance(problem, RequestException) else None
            )
        if trial.failures == _FEW - 1 and self._reached:
            self._notice(f"{self.host} does not answer as it should ({told}); trying again for a while")
            trial.told = True
        time.sleep(trial.pause * random.uniform(0.5, 1.0))
        trial.pause = min(2 * trial.pause, LONGEST_PAUSE)

    def _unreachable(self, told: str, *, never: bool) -> ServiceError:
        if never:
            return ServiceError(f"{self.host} cannot be reached: {told}. Check kfp.host or --host, and the network.")
        return ServiceError(
            f"{self.host} has not answered as it should for {self.patience.unreachable:.0f} s. What runs there goes "
            f"on. The last answer: {told}"
        )

    def _end_outage(self, trial: "_Trial") -> None:
        self._reached = True
        if trial.told:
            self._notice(f"{self.host} answers again")

    def _explained(self, response: requests.Response) -> RopewalkError:
        return refusals.explained(response, self.host, self.namespace, self._credentials.hint)

    def _content(self, response: requests.Response) -> dict[str, Any]:
        try:
            content = json.loads(response.content or b"{}")
        except ValueError as error:
            kind = response.headers.get("Content-Type", "something without a type").partition(";")[0]
            raise refusals.not_the_api(self.host, f"it answers with {kind} where JSON belongs") from error
        if not isinstance(content, dict):
            raise refusals.not_the_api(self.host, "it answers with other JSON than the API")
        return content


class _Trial:
    """How the tries of one request have gone so far."""

    def __init__(self, patience: Patience) -> None:
        self.deadline = time.monotonic() + patience.unreachable
        self.pause = patience.first_retry
        self.failures = 0
        self.conflicts = 0
        self.unsure = False
        """Whether what was asked for may have been done, although no answer says so."""
        self.renewed = False
        self.again_at_once = False
        self.told = False
