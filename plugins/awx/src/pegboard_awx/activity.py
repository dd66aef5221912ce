"""Activity: what somebody did in AWX, made small, with no secret in what changed."""

from difflib import get_close_matches
from typing import Any

from pegboard_awx.api import Object, named
from pegboard_awx.failures import AwxError
from pegboard_awx.shapes import HIDDEN, brief, hidden, mapping, moment, sequence, variables

TYPES = frozenset(
    (
        "ad_hoc_command", "credential", "credential_type", "execution_environment", "group", "host", "instance",
        "instance_group", "inventory", "inventory_source", "inventory_update", "job", "job_template", "label",
        "notification_template", "o_auth2_access_token", "o_auth2_application", "organization", "project",
        "project_update", "role", "schedule", "setting", "team", "unified_job", "unified_job_template", "user",
        "workflow_approval", "workflow_approval_template", "workflow_job", "workflow_job_node",
        "workflow_job_template", "workflow_job_template_node",
    )
)  # fmt: skip
"""What AWX calls the objects that its activity is about."""
LINKING = frozenset({"associate", "disassociate"})
TEXTS = frozenset({"extra_data", "extra_vars", "source_vars", "variables"})
"""Fields that are variables in a text, among which there may be secrets."""
KEYS = frozenset({"host_config_key", "webhook_key"})
"""Secrets that are not called so."""
SHOWN = 3
"""Changed fields that a line shows; the rest is counted."""
LONGEST = 30


def type_of(word: str) -> str:
    """The type that a word means, in the singular or the plural; raises `AwxError`."""
    known = {one: one for one in TYPES} | {f"{one}s": one for one in TYPES} | {"inventories": "inventory"}
    if word in known:
        return known[word]
    near = get_close_matches(word, known, n=1, cutoff=0.5)
    hint = f"did you mean {known[near[0]]!r}?" if near else f"one of {', '.join(sorted(TYPES))}"
    raise AwxError("validation", f"AWX has no activity of the type {word!r}", hint=hint)


def line(item: Object) -> dict[str, Any]:
    """An event in a line: who did what to what, and the first fields that changed."""
    operation = item["operation"]
    return {
        **brief(id=item["id"], when=moment(item["timestamp"]), actor=named(item, "actor", "username")),
        "operation": operation,
        "object": _thing(item, 1),
        **({"with": _thing(item, 2)} if operation in LINKING else {}),
        **({"changes": _first(item)} if operation == "update" else {}),
    }


def details(item: Object) -> dict[str, Any]:
    """An event with everything that changed: old and new where it was an update."""
    if item["operation"] in LINKING:
        return {**line(item), **brief(association=item["object_association"], node=item["action_node"])}
    return {**line(item), "changes": changes(item), **brief(node=item["action_node"])}


def changes(item: Object) -> dict[str, Any]:
    """What changed, by field, without secrets."""
    return {name: _safe(name, value) for name, value in mapping(item["changes"]).items()}


def _first(item: Object) -> dict[str, Any]:
    found = changes(item)
    told: dict[str, Any] = {name: _short(found[name]) for name in list(found)[:SHOWN]}
    return {**told, "more": len(found) - SHOWN} if len(found) > SHOWN else told


def _safe(name: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_safe(name, one) for one in sequence(value)]
    if name in TEXTS and isinstance(value, str) and value.strip():
        return variables(value) or HIDDEN
    return HIDDEN if name in KEYS and value else hidden({name: value})[name]


def _short(value: Any) -> Any:
    if isinstance(value, list):
        return [_short(one) for one in sequence(value)]
    if value is None or isinstance(value, bool | int | float):
        return value
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _thing(item: Object, number: int) -> dict[str, Any]:
    """The first or the second object of an event; one that was deleted is known by what changed only."""
    type_, changed = item[f"object{number}"], mapping(item["changes"])
    id_ = changed.get(f"object{number}_pk", changed.get("id"))
    there = [mapping(one) for one in sequence(item["summary_fields"].get(type_))]
    found = next((one for one in there if one.get("id") == id_), there[0] if there and id_ is None else changed)
    name = next((found[key] for key in ("name", "username", "hostname") if found.get(key)), None)
    return brief(type=type_, id=found.get("id", id_), name=name)
