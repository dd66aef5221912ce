"""An HTTP client that goes only where it is told, keeps no cookies, and notes whether anybody answers."""

from collections.abc import Callable
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx

MAX_CONNECTIONS = 50

AWAY = (httpx.ConnectError, httpx.ConnectTimeout, httpx.NetworkError, httpx.RemoteProtocolError)
"""What says that nobody answers. One that takes long to answer is there."""


class Client(httpx.AsyncClient):
    """A client shared by calls of different people."""

    def __init__(self, base_url: str) -> None:
        # Neither redirects nor the proxies of the environment may decide where a request goes (CVE-2026-26118).
        super().__init__(
            base_url=base_url,
            follow_redirects=False,
            trust_env=False,
            timeout=httpx.Timeout(10),
            limits=httpx.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=10),
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        )
        self.note: Callable[[bool], None] = _nobody
        self.sending = 0
        """Requests whose answers have not begun, or are being read whole."""

    async def send(self, request: httpx.Request, **how: Any) -> httpx.Response:
        """Send one request, and note how that went."""
        self.sending += 1
        try:
            response = await super().send(request, **how)
        except AWAY:
            self.note(False)
            raise
        except AttributeError as error:
            # What uvloop makes of a connection that is reset while httpcore asks for its address.
            if error.name != "getpeername":
                raise
            self.note(False)
            raise httpx.ConnectError("the connection was reset as it opened", request=request) from error
        finally:
            self.sending -= 1
        self.note(True)
        return response


def _nobody(answers: bool) -> None:
    """Nobody wants to know."""
