"""What went wrong with Qdrant, as a sentence the caller can act on."""

import json
import re
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Any, cast

from pegboard import BackendError, ToolError
from pegboard_qdrant import driver
from pegboard_qdrant.embedded import EngineError, FolderInUseError
from pegboard_qdrant.target import Target

MAX_TEXT = 500

WRITES = ("upsert", "delete")

STATUSES: dict[int, str] = {
    401: "it refuses the API key, or wants one; correct the plugin's api_key",
    403: "its API key may not do this; give the plugin's api_key the right to it",
    408: "it ran out of time; narrow the request down with a filter or a smaller limit",
    413: "the request is too large for it; send less at once",
    429: "it has too many requests; try again in a moment",
    500: "it failed with an error of its own; its log says more",
    502: "something between the hub and the server cannot reach it; try again in a moment",
    503: "it is not ready; it may be starting or recovering, try again in a moment",
    504: "it ran out of time; narrow the request down with a filter or a smaller limit",
}
"""What a status means, where the server's words do not say what to do."""

NOBODY_THERE = (502, 503)
"""Of those, what means that there is no Qdrant that could answer."""

GRPC: dict[str, int] = {
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "INVALID_ARGUMENT": 400,
    "DEADLINE_EXCEEDED": 504,
    "RESOURCE_EXHAUSTED": 429,
    "UNIMPLEMENTED": 501,
    "INTERNAL": 500,
}
"""The HTTP statuses of gRPC's; `UNAVAILABLE` is no answer at all."""

TOO_OLD = "the server is too old for this; qdrant-client 1.20 speaks with servers from 1.19 on"

REMEDIES: tuple[tuple[str, str], ...] = (
    ("text index with `scoring`", "qdrant_collection_info lists the keys that can be searched by words"),
    ("appropriate index", "make a payload index of that kind on the key first"),
    ("index required", "make a payload index on the key first"),
    ("no range index", "order_by needs a payload index on the key: integer, float or datetime"),
    ("unknown variant", TOO_OLD),
    ("unknown field", TOO_OLD),
    ("did not match any variant", TOO_OLD),
)
"""What to do about an error, by words in it (lower case)."""


def status_of(error: BaseException) -> int | None:
    """The HTTP status of a refusal, whatever way it came; `None` for anything else."""
    if isinstance(error, EngineError):
        return 404 if "not found" in str(error).lower() else 400
    if type(error).__name__ == "ResourceExhaustedResponse":
        return 429
    code = getattr(error, "code", None)
    if callable(code):
        return GRPC.get(str(getattr(code(), "name", "")))
    return getattr(error, "status_code", None)


@contextmanager
def explained(target: Target) -> Generator[None]:
    """Turn what the driver raises inside into a `ToolError`; anything else passes."""
    try:
        yield
    except driver.errors() as error:
        raise explain(target, error) from error


def explain(target: Target, error: BaseException) -> ToolError:
    """The driver's error in our words."""
    if isinstance(error, FolderInUseError):
        return ToolError(f"another process uses the folder {error}; stop it, or run a Qdrant server for both")
    if isinstance(error, EngineError):
        return _said(f"the embedded Qdrant at {target}", str(error))
    status = status_of(error)
    if status is None:
        message = f"Qdrant at {target} cannot be used: {_unanswered(error)}"
        return BackendError(message, target=target) if _is_away(error) else ToolError(message)
    return _refused(target, status, _words(error))


def busy(target: Target) -> ToolError:
    """Nobody finished in time to make room."""
    return ToolError(
        f"all {target.max_connections} places for requests to Qdrant at {target} are taken; "
        f"try again in a moment, or raise max_connections"
    )


def timed_out(target: Target, seconds: float, operation: str) -> ToolError:
    """The request took too long, and was given up."""
    if operation in WRITES:
        return ToolError(
            f"Qdrant at {target} gave no answer within {seconds:.3g} s (timeout); whether it has done the {operation} "
            f"is not known, so look before you repeat it"
        )
    return ToolError(
        f"Qdrant at {target} gave no answer within {seconds:.3g} s (timeout); narrow the request down with a filter "
        f"or a smaller limit, or see whether Qdrant is well"
    )


def _refused(target: Target, status: int, words: str | None) -> ToolError:
    where = f"Qdrant at {target}"
    if status in STATUSES and (status != 500 or words is None):
        more = f" (it says: {words})" if words and status != 401 else ""
        message = f"{where} refuses: {STATUSES[status]}{more}"
        return BackendError(message, target=target) if status in NOBODY_THERE else ToolError(message)
    if words is not None:
        return _said(where, words)
    if 300 <= status < 400:
        return ToolError(f"{where} sends the request elsewhere (status {status}); correct the plugin's url")
    return ToolError(
        f"{where} answers with status {status} and nothing Qdrant would say; is the plugin's url right, and is the "
        f"server at least 1.19?"
    )


def _said(who: str, words: str) -> ToolError:
    words = words if len(words) <= MAX_TEXT else f"{words[:MAX_TEXT]}…"
    remedy = next((remedy for sign, remedy in REMEDIES if sign in words.lower()), None)
    return ToolError(f"{who} says: {words}" + (f"; {remedy}" if remedy else ""))


def _words(error: BaseException) -> str | None:
    """What the server said, if it said it the way Qdrant does."""
    details = getattr(error, "details", None)
    if callable(details):
        return str(details())
    if type(error).__name__ == "ResourceExhaustedResponse":
        return f"{error}, after {getattr(error, 'retry_after_s', '?')} s"
    with suppress(ValueError, TypeError, KeyError, RecursionError):
        text = str(json.loads(cast(Any, error).content)["status"]["error"])
        return re.sub(r"^(Wrong input|Not found|Bad request): ", "", text)
    return None


def _is_away(error: BaseException) -> bool:
    """Whether nobody is there, or the connection was lost; who takes long is there."""
    kinds = _kinds(error)
    if kinds & {"InvalidURL", "UnsupportedProtocol", "ValueError", "AssertionError", "RecursionError"}:
        return False
    return "ConnectTimeout" in kinds or "TimeoutException" not in kinds


def _kinds(error: BaseException) -> set[str]:
    return {kind.__name__ for kind in type(getattr(error, "source", error)).__mro__}


def _unanswered(error: BaseException) -> str:
    """Why there was no answer that can be used."""
    kinds = _kinds(error)
    if "ConnectTimeout" in kinds:
        return "no connection in time; is the server up, and the network open?"
    if "TimeoutException" in kinds:
        return "no answer in time; narrow the request down, or see whether the server is well"
    if "ConnectError" in kinds:
        return _unconnected(str(getattr(error, "source", error)))
    if kinds & {"NetworkError", "ProtocolError"}:
        return "the connection was lost; try again, the next call connects anew"
    if kinds & {"InvalidURL", "UnsupportedProtocol"}:
        return "its address cannot be used; correct the plugin's url"
    if kinds & {"ValueError", "AssertionError", "RecursionError"}:
        return "its answer is not one of Qdrant's; is the plugin's url right, and is the server at least 1.19?"
    return "it is not there; start the server or correct the plugin's url and grpc_port"


def _unconnected(text: str) -> str:
    if "CERTIFICATE" in text or "SSL" in text:
        return "TLS failed; is the url right about https, and the certificate valid?"
    if "Name or service" in text or "nodename" in text or "getaddrinfo" in text or "name resolution" in text:
        return "the host name is unknown; correct the plugin's url"
    return "nothing listens there; start the server or correct the plugin's url"
