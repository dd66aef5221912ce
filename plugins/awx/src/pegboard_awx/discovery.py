"""Where the API is: the prefix of an AWX or of an Automation Platform, found out by asking."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

from pegboard_awx.exchange import Answer, Request, exchange
from pegboard_awx.failures import AwxError
from pegboard_awx.target import Target

if TYPE_CHECKING:
    import httpx

AWX_PREFIX = "/api/v2/"
PLATFORM_PREFIX = "/api/controller/v2/"


@dataclass(frozen=True, slots=True)
class Place:
    """The prefix of the API, which product serves it and in which version."""

    prefix: str
    platform: Literal["awx", "aap"]
    version: str


async def find(client: "httpx.AsyncClient", target: Target, seconds: float) -> Place:
    """Ask for the prefix; raises `AwxError` when there is neither AWX nor a platform at the URL."""
    prefixes = [target.prefix] if target.prefix else await _candidates(client, target, seconds)
    for prefix in prefixes:
        answer = await exchange(client, target, f"{target.base}{prefix}ping/", Request("GET", "ping/"), seconds)
        if answer.status == 200 and answer.is_json:
            return _place(prefix, answer)
        if answer.status not in (301, 302, 401, 403, 404):
            answer.checked()
    raise AwxError(
        "not_found",
        f"there is no AWX at {target}: it answers neither {' nor '.join(f'{prefix}ping/' for prefix in prefixes)}",
        hint="correct the plugin's url; it is what stands before /api/",
        status=404,
    )


async def _candidates(client: "httpx.AsyncClient", target: Target, seconds: float) -> list[str]:
    answer = await exchange(client, target, f"{target.base}/api/", Request("GET", "api/"), seconds)
    told: Any = answer.json() if answer.status == 200 and answer.is_json else None
    current = str(cast(dict[str, Any], told).get("current_version", "")) if isinstance(told, dict) else ""
    first = current[current.find("/api/") :] if "/api/" in current else AWX_PREFIX
    return list(dict.fromkeys([first, AWX_PREFIX, PLATFORM_PREFIX]))


def _place(prefix: str, answer: Answer) -> Place:
    product = answer.headers.get("x-api-product-name", "AWX")
    platform = "awx" if product == "AWX" and prefix == AWX_PREFIX else "aap"
    return Place(prefix, platform, str(answer.json().get("version", "")))
