"""What the operator lets be run: templates and inventories by name or number, for each environment."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from pegboard import Call
from pegboard_awx.api import Api
from pegboard_awx.failures import AwxError
from pegboard_awx.settings import Settings


def permit_template(call: Call[Settings], id: int, name: str) -> None:  # noqa: A002 # what AWX calls it
    """Return if this template may be launched here; raises `AwxError` "policy"."""
    _permit(call, "template", "allow_templates", call.settings.allow_templates, id, name)


async def permit_inventory(call: Call[Settings], api: Api, id: int | None, name: str | None = None) -> None:  # noqa: A002
    """Return if jobs may run on this inventory here; raises `AwxError` "policy". `None` is none, and passes."""
    allowed = call.settings.allow_inventories
    if allowed is None or id is None:
        return
    if name is None:
        name = str((await api.get("inventories", id))["name"])
    _permit(call, "inventory", "allow_inventories", allowed, id, name)


def _permit(
    call: Call[Settings], noun: str, key: str, allowed: Sequence[int | str] | None, id_: int, name: str
) -> None:
    if allowed is None or any(str(one) == str(id_) or fnmatchcase(name, str(one)) for one in allowed):
        return
    shown = ", ".join(repr(one) for one in allowed) or "none"
    raise AwxError(
        "policy",
        f"the {noun} {name!r} ({id_}) may not be used in {call.environment}",
        hint=f"the operator allows {shown} ({key} of the plugin)",
    )
