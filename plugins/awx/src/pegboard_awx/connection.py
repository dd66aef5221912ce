"""The connection to AWX, tried step by step, so that the one that fails has a name."""

from time import monotonic
from typing import Any, Literal

from typing_extensions import TypedDict

from pegboard_awx.api import Api
from pegboard_awx.failures import AwxError

Step = Literal["dns", "connect", "tls", "prefix", "login", "answer"]


class Connection(TypedDict, total=False):
    """Whether AWX can be used, and by whom; else the step that fails and why."""

    reachable: bool
    url: str
    version: str
    platform: Literal["awx", "aap"]
    api_prefix: str
    user: str
    is_superuser: bool
    auth: Literal["token", "basic"]
    latency_ms: int
    failed_step: Step
    error: str


async def probe(api: Api) -> Connection:
    """Try the connection. Never raises an `AwxError`: a failure is the answer."""
    answer: Connection = {"reachable": False, "url": str(api.server.target)}
    answer["auth"] = "token" if api.server.target.token else "basic"
    try:
        place = await api.place()
        answer |= {"platform": place.platform, "version": place.version, "api_prefix": place.prefix}
        began = monotonic()
        await api.get("ping")
        answer |= {"reachable": True, "latency_ms": round((monotonic() - began) * 1000)}
        me: Any = await api.first("me")
    except AwxError as error:
        return {**answer, "failed_step": _step(error), "error": str(error)}
    return {**answer, "user": me["username"], "is_superuser": me["is_superuser"]} if me else answer


def _step(error: AwxError) -> Step:
    if error.kind in ("auth", "permission"):
        return "login"
    if error.kind == "not_found":
        return "prefix"
    if error.status is not None:
        return "answer"
    text = error.message
    return "dns" if "(DNS)" in text else "tls" if "certificate" in text or "TLS" in text else "connect"
