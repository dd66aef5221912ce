"""Roles: what may be done with one object, and who is given it.

An object has roles of its own (Execute, Use); besides, a role may be defined for all objects of a type.
"""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, Self

from pegboard_awx.api import Api, Object
from pegboard_awx.failures import AwxError
from pegboard_awx.shapes import mapping

OBJECTS: Mapping[str, str] = MappingProxyType(
    {
        "organization": "organizations",
        "team": "teams",
        "project": "projects",
        "inventory": "inventories",
        "credential": "credentials",
        "job_template": "job_templates",
        "workflow_job_template": "workflow_job_templates",
        "instance_group": "instance_groups",
    }
)
"""What has roles, by type: its list."""


@dataclass(frozen=True, slots=True)
class Thing:
    """One object that has roles."""

    type: str
    item: Object

    @classmethod
    async def of(cls, api: Api, object_type: str, object_id: int) -> Self:
        """The object of this type, "job_template" or "job_templates", with this id."""
        type_ = type_of(object_type)
        return cls(type_, await api.get(OBJECTS[type_], object_id))

    @property
    def id(self) -> int:
        """Its id."""
        return self.item["id"]

    @property
    def path(self) -> tuple[str, int]:
        """Its path, in segments."""
        return OBJECTS[self.type], self.id

    @property
    def roles(self) -> dict[str, Object]:
        """Its own roles by AWX's field: "execute_role"."""
        return mapping(self.item["summary_fields"].get("object_roles"))

    def __str__(self) -> str:
        return f"{self.type.replace('_', ' ')} {self.item['name']!r} ({self.id})"


@dataclass(frozen=True, slots=True)
class Holder:
    """Who gets a role or loses it."""

    type: Literal["user", "team"]
    id: int
    name: str

    @classmethod
    async def of(cls, api: Api, user_id: int | None, team_id: int | None) -> Self:
        """The user or the team; raises `AwxError` when neither or both are named."""
        if user_id is not None and team_id is None:
            return cls("user", user_id, (await api.get("users", user_id))["username"])
        if team_id is not None and user_id is None:
            return cls("team", team_id, (await api.get("teams", team_id))["name"])
        raise AwxError("validation", "a role is given to one user or one team", hint="give user_id or team_id")

    def __str__(self) -> str:
        return f"{self.type} {self.name!r} ({self.id})"


@dataclass(frozen=True, slots=True)
class Own:
    """A role of the object itself."""

    id: int
    name: str
    is_for_users: bool

    async def grant(self, api: Api, thing: Thing, holder: Holder) -> None:
        """Give it; once more changes nothing."""
        if self.is_for_users and holder.type == "team":
            raise AwxError("validation", f"only users can have the role {self.name} of {thing}", hint="give user_id")
        await api.associate("roles", self.id, f"{holder.type}s", id=holder.id)

    async def revoke(self, api: Api, thing: Thing, holder: Holder) -> bool:  # noqa: ARG002 # the shape of both
        """Take it away; AWX does not tell whether it was there."""
        await api.associate("roles", self.id, f"{holder.type}s", id=holder.id, remove=True)
        return True


@dataclass(frozen=True, slots=True)
class Defined:
    """A role that is defined for all objects of a type, as people make them in the platform."""

    id: int
    name: str

    async def grant(self, api: Api, thing: Thing, holder: Holder) -> None:
        """Give it for one object, unless that was done before."""
        given = self._given(thing, holder)
        if await api.first(_assignments(holder), params=given) is None:
            await api.post(_assignments(holder), json=given)

    async def revoke(self, api: Api, thing: Thing, holder: Holder) -> bool:
        """Take it away; whether it was there."""
        found = await api.first(_assignments(holder), params=self._given(thing, holder))
        if found is not None:
            await api.delete(_assignments(holder), found["id"])
        return found is not None

    def _given(self, thing: Thing, holder: Holder) -> dict[str, Any]:
        """What AWX keeps of it, at most once."""
        return {"role_definition": self.id, "object_id": str(thing.id), holder.type: holder.id}


def type_of(text: str) -> str:
    """The type that a word means: "job_template", also for "job_templates" or "Job template"."""
    word = _plain(text)
    for type_, collection in OBJECTS.items():
        if word in (type_, collection):
            return type_
    raise AwxError("validation", f"there are no roles on {text!r}", hint=f"object_type is one of {', '.join(OBJECTS)}")


def model_of(type_: str) -> str:
    """How role definitions call a type: "jobtemplate"."""
    return type_.replace("_", "")


async def find_role(api: Api, thing: Thing, wanted: str) -> Own | Defined:
    """The role with this name: "execute", "Execute" or "execute_role"; else one that is defined under this name."""
    for field, role in thing.roles.items():
        if _short(wanted) in (_short(field), _short(role["name"])):
            return Own(role["id"], role["name"], role.get("user_only", False))
    definition = await _definition(api, thing.type, wanted)
    if definition is not None:
        return Defined(definition["id"], definition["name"])
    names = ", ".join(role["name"] for role in thing.roles.values())
    hint = f"it has {names}; awx_list_role_definitions(content_type={thing.type!r}) lists others"
    raise AwxError("not_found", f"{thing} has no role {wanted!r}", hint=hint)


async def access(api: Api, thing: Thing) -> AsyncGenerator[dict[str, Any]]:
    """Who has which role of an object: the teams, then each user, with what it comes through."""
    for role in thing.roles.values():
        async for team in api.all("roles", role["id"], "teams"):
            yield {"team": team["name"], "team_id": team["id"], "role": role["name"]}
    async for user in api.all(*thing.path, "access_list"):
        for entry in entries(thing, user):
            yield {"user": user["username"], "user_id": user["id"], **entry}


def entries(thing: Thing, user: Object) -> list[dict[str, str]]:
    """The roles by which one user of an access list may do something with an object."""
    summary = user["summary_fields"]
    roles = [entry["role"] for key in ("direct_access", "indirect_access") for entry in summary.get(key, ())]
    return [{"role": role["name"], **_via(thing, role)} for role in roles]


def _via(thing: Thing, role: Object) -> dict[str, str]:
    """What a role comes through; nothing for one that was given directly."""
    if role.get("team_name"):
        return {"via": f"team {role['team_name']}"}
    if role.get("id") is None:
        return {"via": "system"}
    of = role.get("resource_type"), role.get("resource_name")
    return {} if of in ((None, None), (thing.type, thing.item["name"])) else {"via": f"{of[0]} {of[1]}"}


async def _definition(api: Api, type_: str, name: str) -> Object | None:
    params = {"name__iexact": name.strip(), "content_type__model": model_of(type_)}
    try:
        return await api.first("role_definitions", params=params)
    except AwxError as error:
        if error.kind != "not_found":  # AWX has had them since 24.3
            raise
        return None


def _assignments(holder: Holder) -> str:
    return f"role_{holder.type}_assignments"


def _plain(text: str) -> str:
    return text.strip().lower().replace(" ", "_").replace("-", "_")


def _short(text: str) -> str:
    return _plain(text).removesuffix("_role")
