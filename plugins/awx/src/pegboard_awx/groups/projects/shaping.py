"""Projects in few words, without the passwords that people write into URLs."""

import re
from typing import Any

from pegboard_awx.api import Object, named
from pegboard_awx.shapes import HIDDEN, brief, moment

REVISION = 10
"""Characters of a commit that are enough to tell it from others."""
USERINFO = re.compile(r"(?<=://)[^/\s]*(?=@)")
OPTIONS = (
    "scm_clean",
    "scm_delete_on_update",
    "scm_track_submodules",
    "scm_update_on_launch",
    "allow_override",
)


def brief_project(item: Object) -> dict[str, Any]:
    """One project in a list."""
    return brief(
        id=item["id"],
        name=item["name"],
        organization=named(item, "organization"),
        scm_type=item["scm_type"] or "manual",
        scm_url=shown_url(item["scm_url"]),
        scm_branch=item["scm_branch"],
        status=item["status"],
        last_updated=moment(item["last_updated"]),
        revision=item["scm_revision"][:REVISION],
    )


def full_project(item: Object) -> dict[str, Any]:
    """One project with its options and its last update."""
    return {
        **brief_project(item),
        **brief(
            revision=item["scm_revision"],
            description=item["description"],
            local_path=item["local_path"],
            scm_refspec=item["scm_refspec"],
            credential=named(item, "credential"),
            default_environment=named(item, "default_environment"),
            options=[name for name in OPTIONS if item[name]],
            update_cache_s=item["scm_update_cache_timeout"] or None,
            timeout_s=item["timeout"] or None,
            last_update=update_of(item, "last_update"),
            current_update=update_of(item, "current_update"),
        ),
    }


def update_of(item: Object, field: str) -> dict[str, Any]:
    """The last or the current update of a project; empty where there is none."""
    return brief(id=named(item, field, "id"), status=named(item, field, "status"))


def shown_url(url: str) -> str:
    """A URL without its password. A user alone is shown only where it is the usual one, since it may be a token."""
    return USERINFO.sub(lambda found: _user(found[0]), url)


def _user(userinfo: str) -> str:
    user, colon, _ = userinfo.partition(":")
    if user and colon:
        return f"{user}:{HIDDEN}"
    return user if user == "git" else HIDDEN
