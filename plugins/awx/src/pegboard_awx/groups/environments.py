"""Group environments: which AWX there are for this plugin, and which one the calls of a session go to."""

from typing import Any, Literal

from typing_extensions import TypedDict

from pegboard import Call, Group, PoolError, tool
from pegboard_awx.api import Api
from pegboard_awx.connection import Connection, probe
from pegboard_awx.pool import NoAuthorityError
from pegboard_awx.settings import Settings
from pegboard_awx.shapes import brief

FEATURES = {
    "tokens_api": "tokens",
    "bulk": "bulk",
    "role_definitions": "role_definitions",
    "approvals": "workflow_approvals",
}
"""What some versions lack, and the path that shows it."""


class Environments(TypedDict):
    """The environments of the plugin, without secrets."""

    items: list[dict[str, Any]]
    total: int


class Active(TypedDict):
    """Where calls go that name no environment, and who says so."""

    name: str
    url: str
    source: Literal["session", "default"]


class Chosen(TypedDict):
    """Where calls of this session go from now on."""

    active: str
    url: str
    writes: str
    note: str


class Tried(Connection, total=False):
    """How an environment can be used."""

    environment: str


@tool(read_only=True, open_world=True, everywhere=True)
async def list_environments(call: Call[Settings]) -> Environments:
    """List the AWX environments of this hub, which is active, and whether tools may write there."""
    active = _active(call)
    items = [_environment(call.within(name), active) for name in call.environments.by_name]
    return {"items": items, "total": len(items)}


@tool(read_only=True, open_world=True, everywhere=True)
async def get_active_environment(call: Call[Settings]) -> Active:
    """Tell which environment calls go to that name none."""
    place = call.within(_active(call))
    url = str(place.settings.target)
    return {"name": place.environment, "url": url, "source": "default" if call.chosen is None else "session"}


@tool(destructive=False, idempotent=True, open_world=True, everywhere=True)
async def set_active_environment(call: Call[Settings], name: str) -> Chosen:
    """Let calls of this session that name no environment go to this one. Other sessions notice nothing."""
    call.choose(name)
    place = call.within(name)
    note = "for this session only; the environment argument of a call comes first"
    return {"active": name, "url": str(place.settings.target), "writes": place.writes, "note": note}


@tool(read_only=True, open_world=True, everywhere=True)
async def test_environment(call: Call[Settings], name: str | None = None) -> Tried:  # noqa: PT028 # a tool
    """Try an environment, the active one by default: version and user, or the step that fails."""
    place = call.within(name or _active(call))
    try:
        connection = await probe(await Api.of(place))
    except PoolError as error:  # its certificates cannot be read, or it has not answered for a while
        url = str(place.settings.target)
        return {
            "environment": place.environment,
            "reachable": False,
            "url": url,
            "failed_step": "tls" if isinstance(error, NoAuthorityError) else "connect",
            "error": str(error),
        }
    return {"environment": place.environment, **connection}


@tool(read_only=True, open_world=True, everywhere=True)
async def describe_environment(call: Call[Settings], name: str | None = None) -> dict[str, Any]:
    """Show version and features of an environment's AWX, and what the operator lets tools do there."""
    place = call.within(name or _active(call))
    api = await Api.of(place)
    where = await api.place()
    root = await api.get()
    return {
        "environment": place.environment,
        "url": str(place.settings.target),
        "platform": where.platform,
        "version": where.version,
        "api_prefix": where.prefix,
        "features": {feature: path in root for feature, path in FEATURES.items()},
        "policy": _policy(place),
    }


def _active(call: Call[Settings]) -> str:
    return call.chosen or call.environment


def _environment(place: Call[Settings], active: str) -> dict[str, Any]:
    name, settings = place.environment, place.settings
    return {
        "name": name,
        "url": str(settings.target),
        **brief(default=name == place.environments.default, active=name == active),
        "writes": place.writes,
        "read_only": place.writes == "deny",
        "verify_tls": settings.verify_tls,
        "auth": ("token" if settings.token.get_secret_value() else "basic") if settings.has_login else "callers",
    }


def _policy(place: Call[Settings]) -> dict[str, Any]:
    """What is allowed; a list that is not there allows all."""
    told = {
        "allowed_templates": place.settings.allow_templates,
        "allowed_inventories": place.settings.allow_inventories,
    }
    given = {word: list(some) for word, some in told.items() if some is not None}
    return {"writes": place.writes, "read_only": place.writes == "deny", **given}


GROUP = Group(
    "environments",
    title="AWX environments",
    tools=[
        list_environments,
        get_active_environment,
        set_active_environment,
        test_environment,
        describe_environment,
    ],
)

ALIASES: dict[str, str] = {
    "env_list": "list_environments",
    "env_get_active": "get_active_environment",
    "env_set_active": "set_active_environment",
}
"""Old names, without the prefix `awx_`."""
