"""Runs the checks, each on its own, and sums up."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, get_args

from pydantic import Field
from typing_extensions import TypedDict

from pegboard import Call, ToolError, tool
from pegboard_postgres.health import sessions, statements, storage
from pegboard_postgres.health.finding import Check, Finding, Remark, Report
from pegboard_postgres.pool import POSTGRES, Lent
from pegboard_postgres.settings import Settings

MARGIN = 0.5
"""Seconds before the call's deadline at which the last check ends."""
MAX_SECONDS = 5.0
"""Seconds for one check."""

Name = Literal["activity", "locks", "vacuum", "indexes", "queries", "cache", "connections", "replication", "sequences"]

CHECKS: Mapping[Name, Check] = {
    "activity": sessions.activity,
    "locks": sessions.locks,
    "vacuum": storage.vacuum,
    "indexes": storage.indexes,
    "queries": statements.statements,
    "cache": statements.cache,
    "connections": sessions.connections,
    "replication": sessions.replication,
    "sequences": storage.sequences,
}

ORDER = ("critical", "warning", "info")


class Health(TypedDict):
    """What is wrong, the worst first, and a few numbers."""

    summary: str
    findings: list[Finding]
    numbers: dict[str, int | float]


@tool(title="PostgreSQL health", read_only=True, idempotent=True, open_world=False)
async def health(
    call: Call[Settings], checks: Annotated[list[Name] | None, Field(description="Default: all.")] = None
) -> Health:
    """Check the server's health: find slow queries, blocked sessions, bloat, index problems, with remedies."""
    names = checks or list(get_args(Name))
    findings: list[Finding] = []
    numbers: dict[str, int | float] = {}
    database = await call.pool(POSTGRES, call.settings.target)
    async with database.hold(timeout=call.remaining - MARGIN) as lent:
        with database.span("health"):
            for name in dict.fromkeys(names):
                report = await _report(lent, CHECKS[name], min(MAX_SECONDS, call.remaining - MARGIN))
                findings += [_finding(name, remark) for remark in report.remarks]
                numbers |= report.numbers
    findings.sort(key=lambda finding: ORDER.index(finding["severity"]))
    return {"summary": _summary(findings, len(set(names))), "findings": findings, "numbers": numbers}


async def _report(lent: Lent, check: Check, seconds: float) -> Report:
    """What the check says, or why it could not be made; the others go on."""
    if seconds <= 0:
        return Report([Remark("info", "this check was not made, since the time was up", "ask for it alone")])
    try:
        with lent.bounded(seconds):
            return await check(lent.connection)
    except ToolError as error:
        if lent.connection.is_closed():
            raise
        with lent.bounded(seconds):
            await lent.begin_again()
        remedy = sessions.MONITOR if "42501" in str(error) else "ask for the other checks"
        return Report([Remark("info", f"this check could not be made: {str(error).splitlines()[0]}", remedy)])


def _finding(name: str, remark: Remark) -> Finding:
    finding: Finding = {"check": name, "severity": remark.severity, "finding": remark.text}
    if remark.remedy:
        finding["remedy"] = remark.remedy
    return finding


def _summary(findings: Sequence[Finding], checks: int) -> str:
    counts = {severity: sum(finding["severity"] == severity for finding in findings) for severity in ORDER}
    if counts["critical"] or counts["warning"]:
        return ", ".join(f"{count} {severity}" for severity, count in counts.items() if count)
    return f"all well: {checks} checks found nothing to worry about"
