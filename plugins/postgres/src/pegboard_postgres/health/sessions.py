"""Checks of what is going on right now: sessions, locks, connections, replicas."""

from collections.abc import Iterator, Mapping
from typing import Any

from pegboard_postgres.driver import Connection
from pegboard_postgres.health import queries
from pegboard_postgres.health.finding import HIDDEN, MOST, Remark, Report, Severity, duration, size, without_literals

IDLE_SECONDS = 60
"""How long a transaction may be idle."""
LONG_SECONDS = 300
"""How long a statement or a transaction may take."""
CRITICAL_SECONDS = 1800
WAIT_SECONDS = 60
MANY_BLOCKED = 5
FULL, ALMOST_FULL = 0.95, 0.8
LAG_BYTES = 256 * 2**20
RETAINED_BYTES = 2**30
LAG_SECONDS = 60

MONITOR = "have a superuser GRANT pg_monitor to the role of the dsn"


async def activity(connection: Connection) -> Report:
    """Transactions that take long or do nothing."""
    counts = await connection.fetchrow(queries.SESSIONS, HIDDEN)
    remarks = [remark for session in await connection.fetch(queries.ACTIVITY) for remark in _session(session)]
    remarks += [remark for prepared in await connection.fetch(queries.PREPARED) for remark in _prepared(prepared)]
    if counts["hidden"]:
        remarks.append(Remark("info", f"{counts['hidden']} sessions of other roles are hidden from this one", MONITOR))
    numbers = ("active", "idle_in_transaction")
    return Report(remarks, {f"sessions_{name}": counts[name] for name in numbers} | {"sessions": counts["all"]})


def _session(session: Mapping[str, Any]) -> Iterator[Remark]:
    who = f"session {session['pid']} ({session['role']}{_of(session['application'])}, {session['database']})"
    query = without_literals(session["query"])
    ending = f"SELECT pg_terminate_backend({session['pid']}) ends it"
    if (session["state"] or "").startswith("idle in transaction") and session["idle"] >= IDLE_SECONDS:
        yield Remark(
            _severity(session["idle"]),
            f"{who} has been idle in a transaction for {duration(session['idle'])}, after: {query}",
            f"it holds locks and keeps vacuum from cleaning up: commit in the application; {ending}; "
            f"idle_in_transaction_session_timeout prevents it",
        )
    elif session["seconds"] >= LONG_SECONDS:
        yield Remark(
            _severity(session["seconds"]),
            f"{who} has been in one transaction for {duration(session['seconds'])}, in: {query}",
            f"look at its plan with postgres_explain; SELECT pg_cancel_backend({session['pid']}) stops it, {ending}",
        )


def _prepared(prepared: Mapping[str, Any]) -> Iterator[Remark]:
    if prepared["seconds"] >= LONG_SECONDS:
        yield Remark(
            _severity(prepared["seconds"]),
            f"the transaction {prepared['gid']!r} in {prepared['database']} has been prepared for "
            f"{duration(prepared['seconds'])} and holds its locks",
            f"COMMIT PREPARED or ROLLBACK PREPARED '{prepared['gid']}'",
        )


def _of(application: str | None) -> str:
    return f", {application}" if application else ""


def _severity(seconds: float) -> Severity:
    return "critical" if seconds >= CRITICAL_SECONDS else "warning"


async def locks(connection: Connection) -> Report:
    """Who waits for whom, told by the session at the head of each queue."""
    sessions = {record["pid"]: record for record in await connection.fetch(queries.LOCKS)}
    waiting = {pid: session for pid, session in sessions.items() if session["blockers"]}
    heads = {blocker for session in waiting.values() for blocker in session["blockers"]} - waiting.keys()
    remarks = [_blocking(head, sessions.get(head), _behind(head, waiting)) for head in sorted(heads)[:MOST]]
    return Report(remarks, {"sessions_waiting_for_locks": len(waiting)})


def _behind(head: int, waiting: Mapping[int, Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Everybody who waits for this session, or for one that does; the longest first."""
    ahead, found = {head}, dict[int, Mapping[str, Any]]()
    while more := {pid: s for pid, s in waiting.items() if pid not in found and ahead & set(s["blockers"])}:
        found |= more
        ahead |= more.keys()
    return sorted(found.values(), key=lambda session: -(session["seconds"] or 0))


def _blocking(head: int, session: Mapping[str, Any] | None, queue: list[Mapping[str, Any]]) -> Remark:
    first = queue[0]
    pids = ", ".join(str(waiter["pid"]) for waiter in queue[:MOST])
    what = f"{first['mode']} on {first['relation']}" if first["relation"] else first["mode"] or "a lock"
    seconds = first["seconds"] or 0
    doing = f" ({_doing(session)})" if session else ""
    return Remark(
        "critical" if seconds >= WAIT_SECONDS or len(queue) >= MANY_BLOCKED else "warning",
        f"session {head}{doing} blocks {len(queue)}: {pids}; the longest waits {duration(seconds)} for {what}, "
        f"in: {without_literals(first['query'])}",
        f"have {head} commit or roll back; SELECT pg_terminate_backend({head}) ends it",
    )


def _doing(session: Mapping[str, Any]) -> str:
    return f"{session['role']}, {session['state'] or 'hidden'}: {without_literals(session['query'])}"


async def connections(connection: Connection) -> Report:
    """How many connections are left."""
    counts = await connection.fetchrow(queries.CONNECTIONS)
    share = counts["used"] / counts["most"]
    remarks: list[Remark] = []
    if share >= ALMOST_FULL:
        text = f"{counts['used']} of {counts['most']} connections are in use"
        severity: Severity = "critical" if share >= FULL else "warning"
        remarks = [Remark(severity, text, "close idle ones, use a pooler such as PgBouncer, or raise max_connections")]
    return Report(remarks, {"connections": counts["used"], "max_connections": counts["most"]})


async def replication(connection: Connection) -> Report:
    """Replicas that lag, slots that nobody reads, and how far a standby itself is behind."""
    behind = await connection.fetchval(queries.STANDBY)
    replicas, slots = await connection.fetch(queries.REPLICAS), await connection.fetch(queries.SLOTS)
    remarks = [remark for replica in replicas for remark in _replica(replica)]
    remarks += [remark for slot in slots for remark in _slot(slot)]
    if behind is not None and behind >= LAG_SECONDS:
        text = f"this standby is {duration(behind)} behind"
        remarks.append(Remark("warning", text, "look for long queries here, and at the network to its primary"))
    return Report(remarks, {"replicas": len(replicas)})


def _replica(replica: Mapping[str, Any]) -> Iterator[Remark]:
    if replica["state"] is None:
        yield Remark("info", f"how far the replica {replica['name']} is cannot be seen by this role", MONITOR)
    elif (replica["bytes"] or 0) >= LAG_BYTES or (replica["seconds"] or 0) >= LAG_SECONDS:
        behind = f"{size(replica['bytes'] or 0)} and {duration(replica['seconds'] or 0)}"
        text = f"the replica {replica['name']} ({replica['state']}, {replica['sync_state']}) is {behind} behind"
        yield Remark("warning", text, "look at its disk, its network, and long queries on it")


def _slot(slot: Mapping[str, Any]) -> Iterator[Remark]:
    if not slot["active"] and (slot["bytes"] or 0) >= RETAINED_BYTES:
        yield Remark(
            "critical",
            f"nobody reads the replication slot {slot['name']}, which keeps {size(slot['bytes'])} of WAL on disk",
            f"start its reader, or SELECT pg_drop_replication_slot('{slot['name']}'); max_slot_wal_keep_size bounds it",
        )
