"""People: users, teams and organizations in a few words."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pegboard_awx.api import Api, Object, named
from pegboard_awx.deleting import Deleted
from pegboard_awx.paths import Segment
from pegboard_awx.shapes import brief, moment

MOST = 200
"""How many members of something are shown at once; more are paged through with a list."""


@dataclass(frozen=True, slots=True)
class Some:
    """The first of a list, and a warning where there are more."""

    items: list[dict[str, Any]]
    warnings: list[str]


async def some(api: Api, *path: Segment, summarize: Callable[[Object], dict[str, Any]]) -> Some:
    """The first of a list below something: its members, its teams."""
    page = await api.page(*path, size=MOST)
    items = [summarize(item) for item in page.items]
    return Some(items, [f"only {len(items)} of {page.total} {path[-1]} are shown"] if page.has_more else [])


def person(user: Object) -> dict[str, Any]:
    """One user."""
    return brief(
        id=user["id"],
        username=user["username"],
        name=f"{user['first_name']} {user['last_name']}".strip(),
        email=user["email"],
        superuser=user["is_superuser"],
        auditor=user["is_system_auditor"],
        last_login=moment(user["last_login"]),
    )


def person_details(user: Object) -> dict[str, Any]:
    """What is told about a user besides."""
    return brief(created=moment(user["created"]), managed_by=managed_by(user))


def managed_by(user: Object) -> str | None:
    """The directory a user comes from, if it is not AWX itself."""
    return user.get("external_account") or ("ldap" if user.get("ldap_dn") else None)


def member(user: Object) -> dict[str, Any]:
    """One user among many."""
    return {"id": user["id"], "username": user["username"]}


def team(item: Object) -> dict[str, Any]:
    """One team."""
    return brief(id=item["id"], name=item["name"], organization=named(item, "organization"))


def organization(item: Object) -> dict[str, Any]:
    """One organization among many."""
    return {"id": item["id"], "name": item["name"]}


async def foretold(api: Api, told: Deleted) -> Deleted:
    """What a dry run tells, with a warning where AWX would refuse, since its platform keeps people."""
    if not told.get("dry_run") or (await api.place()).platform == "awx":
        return told
    return {**told, "warnings": ["users, teams and organizations of this AWX are deleted in its platform, not here"]}
