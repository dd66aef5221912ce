"""The entrance: what the head of a request says, and who comes with it."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import parse_qsl

from pegboard_awx.double.filtering import Pairs
from pegboard_awx.double.kinds import Row
from pegboard_awx.double.world import World


@dataclass(frozen=True, slots=True)
class Entrance:
    """The method, the parameters and the headers of a request that count."""

    method: str
    pairs: Pairs
    accept: str = "*/*"
    type: str = ""
    authorization: str = field(default="", repr=False)

    @classmethod
    def of(cls, scope: Mapping[str, Any]) -> Self:
        """The entrance of an ASGI request."""
        headers = {name.decode().lower(): value.decode("latin-1") for name, value in scope["headers"]}
        return cls(
            scope["method"],
            parse_qsl(scope["query_string"].decode(), keep_blank_values=True),
            headers.get("accept", "*/*"),
            headers.get("content-type", ""),
            headers.get("authorization", ""),
        )


@dataclass(frozen=True, slots=True)
class Who:
    """A user, and whether the token lets them only read."""

    user: Row
    reads_only: bool = False


def identify(world: World, entrance: Entrance) -> Who | None:
    """The user of a request; `None` for nobody, a wrong password, or a token that is not there."""
    scheme, _, text = entrance.authorization.partition(" ")
    if scheme.lower() == "bearer":
        token = world.store.find("tokens", _token=text.strip())
        user = None if token is None else world.store.get("users", token["user"])
        return None if token is None or user is None else Who(user, reads_only=token["scope"] == "read")
    if scheme.lower() == "basic" and world.setting("authentication", "AUTH_BASIC_ENABLED"):
        name, _, password = _decoded(text).partition(":")
        user = world.store.find("users", username=name)
        return Who(user) if user is not None and password and user.get("_password") == password else None
    return None


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except ValueError:
        return ""
