"""Notifications: templates, messages sent through them, and the activity stream."""

from collections.abc import Iterable, Mapping
from typing import Any

from pegboard_awx.double.kinds import Row
from pegboard_awx.double.refusals import bad
from pegboard_awx.double.resources import Resource, Values, tables
from pegboard_awx.double.routes import Table
from pegboard_awx.double.sublists import Related
from pegboard_awx.double.sublists import tables as sublists
from pegboard_awx.double.visits import Reply, Visit

NEEDED: Mapping[str, tuple[str, ...]] = {
    "slack": ("token", "channels"),
    "email": ("host", "port", "sender", "recipients"),
    "webhook": ("url", "headers"),
    "mattermost": ("mattermost_url",),
    "pagerduty": ("token", "service_key", "subdomain", "client_name"),
    "irc": ("server", "port", "nickname", "targets"),
    "twilio": ("account_token", "account_sid", "from_number", "to_numbers"),
    "grafana": ("grafana_url", "grafana_key"),
    "rocketchat": ("rocketchat_url",),
    "awssns": ("aws_region",),
}
FILLED: Mapping[str, Mapping[str, Any]] = {
    "webhook": {"password": "", "username": "", "http_method": "POST", "disable_ssl_verification": False},
    "email": {"username": "", "password": "", "use_tls": False, "use_ssl": False, "timeout": 30},
    "slack": {"hex_color": ""},
}


def _prepare(visit: Visit, row: Row | None, values: Values, body: Mapping[str, Any]) -> None:  # noqa: ARG001
    merged = {**(row or {}), **values}
    kind, given = merged["notification_type"], merged["notification_configuration"]
    missing = [name for name in NEEDED[kind] if name not in given]
    if missing:
        raise bad({"__all__": [f"Missing required fields for Notification Configuration: {missing}."]})
    if "notification_configuration" in values:
        old: dict[str, Any] = {} if row is None else row["notification_configuration"]
        kept = {name: old.get(name) if value == "$encrypted$" else value for name, value in given.items()}
        values["notification_configuration"] = {**FILLED.get(kind, {}), **kept}


def _test(visit: Visit, id: int) -> Reply:  # noqa: A002 # what AWX calls it
    """Send a test message, which arrives unless the address has one of three words in it."""
    template = visit.row("notification_templates", id, "edit")
    where = template["notification_configuration"]
    recipients = str(where.get("url") or ", ".join(where.get("channels", where.get("recipients", []))))
    number = len(visit.store.all("notifications")) + 1
    row = visit.store.add(
        "notifications",
        notification_template=id,
        notification_type=template["notification_type"],
        recipients=recipients,
        status="pending",
        body={"body": f"Test Notification {number} https://awx.alpenkraft.example"},
    )
    reply = visit.created(row, {"notification": row["id"]}, 202)
    if "never" in recipients:
        return reply
    fails = "127.0.0.1" in recipients or "invalid" in recipients
    row.update(status="failed" if fails else "successful", notifications_sent=0 if fails else 1)
    row["error"] = f"HTTPConnectionPool: Max retries exceeded with url {recipients}" if fails else ""
    return reply


def _sent(visit: Visit, row: Row) -> Iterable[Row]:
    return visit.store.where("notifications", notification_template=row["id"])


def _copy(visit: Visit, id: int) -> Reply:  # noqa: A002
    row = visit.row("notification_templates", id, "edit")
    same = {name: row[name] for name, field in TEMPLATES.kind.fields.items() if field.write}
    return TEMPLATES.make(visit, {**same, **visit.body})


TEMPLATES = Resource("notification_templates", order="name", prepare=_prepare)

ROUTES: Table = {
    **tables([TEMPLATES, Resource("notifications", "GET"), Resource("activity_stream", "GET")]),
    ("POST", "notification_templates/{id}/test/"): _test,
    ("POST", "notification_templates/{id}/copy/"): _copy,
    **sublists([Related("notification_templates", "notifications", "notifications", _sent)]),
}
