"""What AWX says when it refuses: every shape of its errors, read into one `AwxError`."""

from collections.abc import Mapping, Sequence
from json import JSONDecodeError, loads
from typing import Any, cast

from pegboard_awx.failures import AwxError, Kind

KINDS: dict[int, Kind] = {
    400: "validation",
    401: "auth",
    403: "permission",
    404: "not_found",
    405: "not_allowed_now",
    406: "validation",
    409: "conflict",
    413: "too_large",
    415: "validation",
    429: "unreachable",
}

HINTS: dict[str, str] = {
    "auth": "the token or the password is wrong, revoked or expired; correct the plugin's settings",
    "permission": "ask for a role on it, or use a token of a user who has one, with scope write",
    "not_found": "list or search first; it may have been deleted",
    "not_allowed_now": "its state does not allow that now; look at its status first",
    "conflict": "wait for the jobs or cancel them",
}
"""What to do where the words of AWX do not say it."""

NOBODY_THERE = frozenset({502, 503})
"""What a proxy says that finds no AWX behind it."""

SHARED = "users, teams and organizations of this AWX are changed"

SAID: tuple[tuple[str, Kind, str], ...] = (
    ("platform ingress", "policy", f"{SHARED} through its platform: its web pages, or /api/gateway/v1/"),
    ("cannot change shared field", "policy", f"{SHARED} in its platform: its web pages, or /api/gateway/v1/"),
    ("already exists", "conflict", "choose another name or use the one that is there"),
    ("already been approved or denied", "not_allowed_now", "look at the workflow job for what was decided"),
    ("cannot delete running job", "not_allowed_now", "cancel it first"),
    ("being used by running jobs", "conflict", "wait for the jobs or cancel them"),
    ("not a valid string", "validation", "send variables as a string of JSON or YAML"),
    ("invalid page", "validation", "ask for an earlier page"),
    ("no inventory sources to update", "not_allowed_now", "the inventory has no sources; create one first"),
)
"""Words of AWX that say more than the status: a part of them, the kind, and what to do."""

ELSEWHERE = "a web page instead of JSON; url may name a login page or a proxy"
LOOK_FIRST = "it may have been done all the same, so look before you repeat it"
TOO_MANY = 5
LONGEST = 300


def refusal(status: int, body: bytes, what: str) -> AwxError:
    """The error for an answer with an error status. `what` names the request: "POST hosts/"."""
    told = _parsed(body)
    if told is None:
        return _page(status, what)
    fields = fields_of(told)
    said = sentence(fields) or f"status {status}"
    kind, hint = _classify(status, said, fields)
    return AwxError(kind, f"AWX refuses {what} ({status}): {said}", hint=hint, status=status, fields=fields)


def busy(status: int, what: str, after: float | None, *, unsure: bool = False) -> AwxError:
    """The error for an AWX, or a proxy before it, that has no time now."""
    when = f"in {after:g} s" if after else "in a moment"
    hint = LOOK_FIRST if unsure else f"try again {when}"
    message = f"AWX is busy ({status} for {what})"
    return AwxError(
        "unreachable",
        message,
        hint=hint,
        status=status,
        unsure=unsure,
        passes=True,
        retry_after=after,
        is_away=status in NOBODY_THERE,
    )


def not_json(status: int, what: str, *, html: bool) -> AwxError:
    """The error for a good status with a body that cannot be read."""
    found = ELSEWHERE if html else "JSON that is broken off; something between the hub and AWX may cut answers"
    return AwxError("unreachable", f"AWX answers {what} with {found}", status=status)


def redirected(status: int, what: str, location: str) -> AwxError:
    """The error for a redirect: followed, a POST would turn into a GET and look like success."""
    return AwxError(
        "unreachable",
        f"AWX answers {what} with a redirect to {location[:LONGEST] or 'nowhere'}",
        hint="redirects are not followed; correct the plugin's url (https instead of http, or another host)",
        status=status,
    )


def fields_of(told: Any) -> dict[str, Any]:
    """The reasons by field; what belongs to no field is under ""."""
    if not isinstance(told, Mapping):
        return {"": _texts(told)}
    fields: dict[str, Any] = {}
    for key, value in cast(Mapping[str, Any], told).items():
        if key in ("active_jobs", "hosts") or not key:
            fields[key] = value
        else:
            name = "" if key.lower() in ("detail", "error", "__all__") else key
            fields[name] = value if isinstance(value, Mapping) else [*fields.get(name, []), *_texts(value)]
    return fields


def sentence(fields: Mapping[str, Any]) -> str:
    """The reasons in one line: `name: This field is required.`"""
    parts: list[str] = []
    for name, value in fields.items():
        if name == "active_jobs":
            parts.append(f"active jobs {_jobs(value)}")
        elif isinstance(value, Mapping):
            inner = sentence(fields_of(value))
            parts.append(f"{name}.{inner}" if name else inner)
        else:
            text = ", ".join(value)
            parts.append(f"{name}: {text}" if name else text)
    shown = [*parts[:TOO_MANY], f"and {len(parts) - TOO_MANY} more"] if len(parts) > TOO_MANY else parts
    return "; ".join(shown).rstrip(".")


def _classify(status: int, said: str, fields: Mapping[str, Any]) -> tuple[Kind, str | None]:
    lower = said.lower()
    for words, kind, hint in SAID:
        if words in lower:
            return kind, hint
    kind: Kind = KINDS.get(status, "unreachable" if status >= 500 else "validation")
    hint = HINTS.get(kind)
    return kind, None if kind == "conflict" and "active_jobs" not in fields else hint


def _page(status: int, what: str) -> AwxError:
    """A refusal that is a web page: a path AWX does not know, a format it does not give, or not AWX at all."""
    kind: Kind = KINDS.get(status, "unreachable")
    if status == 404:
        message, hint = f"AWX has no path for {what} (404)", "its version may lack it, or url may not be AWX's"
    else:
        message, hint = f"AWX answers {what} with {status}", HINTS.get(kind)
    return AwxError(kind, message, hint=hint, status=status)


def _parsed(body: bytes) -> Any:
    try:
        return loads(body)
    except (JSONDecodeError, UnicodeDecodeError, RecursionError):
        return None


def _texts(value: Any) -> list[str]:
    values = cast(Sequence[Any], value) if isinstance(value, list | tuple) else [value]
    return [str(one)[:LONGEST] for one in values]


def _jobs(value: Any) -> str:
    return ", ".join(str(job.get("id")) for job in cast(list[dict[str, Any]], value)[:TOO_MANY])
