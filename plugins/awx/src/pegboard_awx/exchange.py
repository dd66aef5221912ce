"""One request to AWX and its answer, read within a size and a time."""

import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from json import JSONDecodeError, loads
from typing import TYPE_CHECKING, Any, cast

import anyio

from pegboard_awx import answers
from pegboard_awx.failures import AwxError
from pegboard_awx.target import Target

if TYPE_CHECKING:
    import httpx

Params = Mapping[str, Any] | Sequence[tuple[str, Any]]

JSON = "application/json"
ANY = "*/*"
"""For output: AWX refuses `format=txt` to a client that accepts JSON only (406)."""

BUSY = frozenset({429, 502, 503, 504})
"""Statuses of a server, or a proxy before it, that has no time now."""
MAYBE_DONE = frozenset({502, 504})
"""Of those, what a proxy says that has passed a request on and got no answer."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request below the prefix of the API; `path` is quoted already."""

    method: str
    path: str
    params: Params | None = None
    json: Any = None
    accept: str = JSON

    @property
    def writes(self) -> bool:
        return self.method not in ("GET", "HEAD", "OPTIONS")

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers and body of an answer."""

    request: Request
    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def is_json(self) -> bool:
        return self.headers.get("content-type", "").startswith(JSON)

    def checked(self) -> "Answer":
        """The answer itself; raises the `AwxError` it stands for when it is a refusal or a redirect."""
        what = str(self.request)
        if self.status < 300:
            return self
        if self.status < 400:
            raise answers.redirected(self.status, what, self.headers.get("location", ""))
        if self.status in BUSY:
            unsure = self.request.writes and self.status in MAYBE_DONE
            raise answers.busy(self.status, what, retry_after(self.headers), unsure=unsure)
        raise answers.refusal(self.status, self.body if self.is_json else b"", what)

    def json(self) -> Any:
        """The body as a value, `None` for an empty one; raises `AwxError` for anything that is not JSON."""
        if not self.body:
            return None
        try:
            return loads(self.body)
        except (JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
            html = self.body.lstrip()[:1] == b"<"
            raise answers.not_json(self.status, str(self.request), html=html) from error


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds a server asks to wait; `None` where it says nothing usable."""
    text = headers.get("retry-after", "").strip()
    return float(text) if text.isdecimal() else None


@asynccontextmanager
async def opened(
    client: "httpx.AsyncClient", target: Target, url: str, request: Request, seconds: float
) -> AsyncGenerator["httpx.Response"]:
    """Send a request and lend its answer, whose body is still to be read, all within `seconds`.

    Raises `AwxError` when AWX cannot be reached, takes too long, or breaks off, here and in the block.
    """
    import httpx  # a hub whose AWX nobody uses need not pay for the import

    try:
        with anyio.fail_after(seconds):
            async with client.stream(
                request.method,
                url,
                params=_plain(request.params) or None,  # an empty list would take away the query of the path
                json=request.json,
                headers={"Accept": request.accept},
            ) as response:
                yield response
    except (TimeoutError, httpx.TimeoutException) as error:
        raise _timed_out(target, request, error, seconds) from error
    except (httpx.TransportError, OSError) as error:
        raise _lost(target, request, error) from error


async def exchange(client: "httpx.AsyncClient", target: Target, url: str, request: Request, seconds: float) -> Answer:
    """Send a request and read its whole answer; one that is too large is an error."""
    async with opened(client, target, url, request, seconds) as response:
        body = b"".join([chunk async for chunk in bounded(response, request, target.max_bytes)])
        return Answer(request, response.status_code, response.headers, body)


async def bounded(response: "httpx.Response", request: Request, most: int) -> AsyncIterator[bytes]:
    """The body in pieces; raises `AwxError` as soon as it is larger than `most`."""
    size = 0
    async for chunk in response.aiter_bytes():
        size += len(chunk)
        if size > most:
            raise AwxError(
                "too_large",
                f"the answer of AWX to {request} has more than {most} bytes",
                hint="ask for less: a smaller page, or a part",
                unsure=request.writes,
            )
        yield chunk


def _plain(params: Params | None) -> list[tuple[str, Any]]:
    """The parameters without those that are `None`, with booleans as AWX reads them."""
    pairs = params.items() if isinstance(params, Mapping) else params or ()
    return [
        (key, str(value).lower() if isinstance(value, bool) else value) for key, value in pairs if value is not None
    ]


def _timed_out(target: Target, request: Request, error: Exception, seconds: float) -> AwxError:
    import httpx

    if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
        is_away = isinstance(error, httpx.ConnectTimeout)
        message = f"AWX at {target} cannot be reached in time"
        return AwxError("timeout", message, hint="is it up, and url right?", is_away=is_away)
    return AwxError(
        "timeout",
        f"AWX did not answer {request} within {min(seconds, target.read_timeout):.3g} s",
        hint=answers.LOOK_FIRST if request.writes else "try again, or ask for less",
        unsure=request.writes,
    )


def _lost(target: Target, request: Request, error: Exception) -> AwxError:
    import httpx

    if isinstance(error, httpx.ConnectError | httpx.ProxyError | httpx.UnsupportedProtocol):
        reason, hint = _why(error)
        message = f"AWX at {target} cannot be reached: {reason}"
        return AwxError("unreachable", message, hint=hint, passes=True, is_away=True)
    return AwxError(
        "unreachable",
        f"the connection to AWX at {target} broke off during {request}",
        hint=answers.LOOK_FIRST if request.writes else "try again",
        unsure=request.writes,
        passes=True,
        is_away=True,
    )


def _why(error: Exception) -> tuple[str, str]:
    """What stands between the hub and AWX, and what to do about it."""
    for cause in _causes(error):
        if isinstance(cause, socket.gaierror):
            return "its name is unknown (DNS)", "correct the plugin's url"
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted ({cause.verify_message})", "name its authority with ca_file"
        if isinstance(cause, ssl.SSLError):
            return "it does not speak TLS here", "correct scheme and port of the plugin's url"
        if isinstance(cause, ConnectionRefusedError):
            return "nothing listens there", "is it up, and are host and port of url right?"
    return "the connection failed", "is it up, and is url right?"


def _causes(error: BaseException | None) -> list[BaseException]:
    """The error and what led to it; several attempts to connect come as a group."""
    causes: list[BaseException] = []
    waiting = [error]
    while waiting:
        cause = waiting.pop()
        if cause is not None and cause not in causes:
            causes.append(cause)
            waiting += [cause.__cause__ or cause.__context__, *_members(cause)]
    return causes


def _members(error: BaseException) -> Sequence[BaseException]:
    return cast("BaseExceptionGroup[BaseException]", error).exceptions if isinstance(error, BaseExceptionGroup) else ()
