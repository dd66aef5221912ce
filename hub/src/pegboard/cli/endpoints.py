"""Endpoints by the name a user types: `all`, `postgres`, `awx/inventory`."""

from pegboard.endpoint import Endpoint
from pegboard.errors import ConfigError
from pegboard.hub import Hub
from pegboard.offers import EVERYTHING
from pegboard.validation import did_you_mean


def path_of(name: str) -> str:
    """The path before `/sse` and `/mcp`: empty for everything, else `/name`."""
    name = name.strip("/")
    return "" if name in ("", EVERYTHING) else f"/{name}"


def find_endpoint(hub: Hub, name: str) -> Endpoint:
    """The endpoint with this name. Raises `ConfigError` that says why it is not there, or what is."""
    endpoint = hub.endpoints.get(path_of(name))
    if endpoint is not None:
        return endpoint
    reasons = [str(plugin) for plugin in hub.quarantined if plugin.owner.name == name.strip("/").split("/")[0]]
    names = [endpoint.offer.name for endpoint in hub.endpoints.values()]
    known = [*names, *(plugin.owner.name for plugin in hub.quarantined)]
    hint = "\n".join(reasons) or did_you_mean(name, known) or f"there are {', '.join(names)}"
    raise ConfigError(f"there is no endpoint {name!r}; {hint}")
