"""Analysis: why a job has failed, its failures grouped by task and message, each with a hint."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from typing_extensions import TypedDict

from pegboard_awx.api import Api, Object
from pegboard_awx.output import clean, tail
from pegboard_awx.pending import why_pending
from pegboard_awx.runs import Run, is_final
from pegboard_awx.shapes import mapping, sequence

Category = Literal[
    "not_failed", "not_finished", "canceled", "task_failed", "unreachable", "no_task", "error", "workflow"
]

MOST_EVENTS = 1000
MOST_GROUPS = 20
EXAMPLES = 5
MESSAGE = 400
TAIL_LINES = 15
TAIL_CHARS = 1500

HINTS: Sequence[tuple[str, str]] = (
    (r"no route to host|connection (timed out|refused)|could not resolve host", "is the host up, and reached by ssh?"),
    (r"permission denied \(publickey|authentication fail|invalid/incorrect password", "check the machine credential"),
    (r"missing sudo password|incorrect sudo|become password", "give the machine credential a become password"),
    (r"host key verification", "the host's key has changed or is unknown; check that it is the right host"),
    (r"no space left|disk .*full|\b(9\d|100)% full", "free disk space on these hosts, then relaunch on failed hosts"),
    (r"is undefined|undefined variable", "a variable is not set; give it in extra_vars or the inventory"),
    (r"rate limit|too many requests|\b429\b", "wait until the limit is lifted, then relaunch on failed hosts"),
    (r"couldn't resolve module|no module named", "a collection or library is missing in the execution environment"),
    (r"could not read from remote repository|repository not found", "check the project's URL and its credential"),
    (r"no hosts matched|skipping: no hosts", "no host fits; check limit and inventory"),
    (r"timed? ?out|not answered within", "something did not answer in time; try again or raise the timeout"),
    (r"no such file|could not find|not found", "something the task needs is not there"),
    (r"decrypt|vault password", "check the vault credential of the template"),
    (r"out of memory|oomkilled|was killed|lost contact|heartbeat", "the node had no memory or went away; run it again"),
)
"""What to do about a message: a pattern, and a hint. The first that fits counts."""


class Failure(TypedDict, total=False):
    """One task that failed in one way, and the hosts it failed on."""

    task: str
    role: str
    task_path: str
    module: str
    unreachable: bool
    message: str
    rc: int
    stderr_tail: str
    hosts: int
    examples: list[str]
    hint: str


class Analysis(TypedDict, total=False):
    """Why a job has failed."""

    job_id: int
    type: str
    name: str
    status: str
    category: Category
    summary: str
    failures: list[Failure]
    failed_hosts: int
    ok_hosts: int
    explanation: str
    traceback_tail: str
    output_tail: str
    suggestions: list[str]


@dataclass(slots=True)
class _Group:
    """The events of one task and one message."""

    event: Object
    message: str
    hosts: list[str] = field(default_factory=list[str])


async def analyze(api: Api, run: Run) -> Analysis:
    """Say why a job has failed; works for jobs of every type."""
    job = await api.get(*run.path)
    answer: Analysis = {"job_id": run.id, "type": run.type, "name": job["name"], "status": job["status"]}
    if not is_final(job) or job["status"] == "successful":
        return {**answer, **await _no_failure(api, run, job)}
    if run.kind.events is None:
        return {**answer, **await _nodes(api, run, job)}
    if job.get("job_explanation"):
        answer["explanation"] = str(job["job_explanation"])
    if job.get("result_traceback"):
        answer["traceback_tail"] = str(job["result_traceback"])[-TAIL_CHARS:]
    groups = await _groups(api, run)
    return {**answer, **(_told(job, groups) if groups else await _without_events(api, run, job))}


async def _no_failure(api: Api, run: Run, job: Object) -> Analysis:
    if is_final(job):
        return {"category": "not_failed", "summary": "the job was successful"}
    why = await why_pending(api, run, job)
    summary = f"the job is {job['status']}{f': {why}' if why else ''}"
    return {"category": "not_finished", "summary": summary, "suggestions": [run.next_wait]}


async def _groups(api: Api, run: Run) -> list[_Group]:
    """What failed and was neither ignored nor one of several items, most hosts first."""
    params = {"failed": True, "event__in": "runner_on_failed,runner_on_unreachable", "order_by": "counter"}
    groups: dict[tuple[str, str, str], _Group] = {}
    async for event in api.all(*run.path, run.kind.events or "", params=params, most=MOST_EVENTS):
        message, host = message_of(event), str(event.get("host_name") or "")
        key = (event["event"], str(event["task"]), _without(message, host))
        groups.setdefault(key, _Group(event, message)).hosts.append(host)
    return sorted(groups.values(), key=lambda group: -len(group.hosts))


def _told(job: Object, groups: Sequence[_Group]) -> Analysis:
    failures = [_failure(group) for group in groups[:MOST_GROUPS]]
    hosts = {host for group in groups for host in group.hosts}
    are_away = all(group.event["event"] == "runner_on_unreachable" for group in groups)
    counts = mapping(job.get("host_status_counts"))
    well = sum(count for name, count in counts.items() if name in ("ok", "changed", "skipped"))
    first = groups[0]
    most = f"most in task {first.event['task']!r}: {first.message[:200]}"
    return {
        "category": "canceled" if job["status"] == "canceled" else "unreachable" if are_away else "task_failed",
        "summary": f"failed hosts: {len(hosts)}, different failures: {len(groups)}; {most}",
        "failures": failures,
        "failed_hosts": len(hosts),
        "ok_hosts": well,
        "suggestions": _suggestions(job, failures),
    }


def _failure(group: _Group) -> Failure:
    event = group.event
    data = mapping(event.get("event_data"))
    result = result_of(event)
    failure: Failure = {"task": str(event["task"]), "message": group.message, "hosts": len(group.hosts)}
    failure["examples"] = sorted(group.hosts)[:EXAMPLES]
    if event.get("role"):
        failure["role"] = str(event["role"])
    if data.get("task_path"):
        failure["task_path"] = str(data["task_path"])
    if data.get("task_action"):
        failure["module"] = str(data["task_action"])
    if event["event"] == "runner_on_unreachable":
        failure["unreachable"] = True
    if isinstance(result.get("rc"), int):
        failure["rc"] = int(result["rc"])
    stderr = clean(str(result.get("stderr") or result.get("module_stderr") or "")).strip()
    if stderr and stderr != group.message:
        failure["stderr_tail"] = stderr[-MESSAGE:]
    hint = hint_for(f"{group.message} {stderr}")
    if hint is not None:
        failure["hint"] = hint
    return failure


def hint_for(text: str) -> str | None:
    """What may help against a message."""
    return next((hint for pattern, hint in HINTS if re.search(pattern, text, re.IGNORECASE)), None)


async def _without_events(api: Api, run: Run, job: Object) -> Analysis:
    """A job that failed without a task that did: AWX could not run it, or the playbook did not get so far."""
    text = (await tail(api, run, TAIL_LINES, TAIL_CHARS)).text
    category: Category = job["status"] if job["status"] in ("canceled", "error") else "no_task"
    explanation = str(job.get("job_explanation") or "")
    hint = hint_for(f"{explanation} {job.get('result_traceback') or ''} {text}")
    reason = explanation or "no task failed; the end of the output may tell"
    return {
        "category": category,
        "summary": "the job was canceled" if category == "canceled" else reason,
        "output_tail": text,
        "suggestions": [hint] if hint else [],
    }


async def _nodes(api: Api, run: Run, job: Object) -> Analysis:
    """A workflow fails with one of its nodes."""
    failed: list[Failure] = []
    suggestions: list[str] = []
    async for node in api.all(*run.path, "workflow_nodes", most=MOST_EVENTS):
        done = mapping(node["summary_fields"].get("job"))
        if done.get("status") in ("failed", "error", "canceled"):
            message = f"{done.get('type', 'job')} {done['id']} is {done['status']}"
            failed.append({"task": str(node["identifier"]), "message": message})
            if done.get("type") in ("job", "project_update", "inventory_update"):
                suggestions.append(f"awx_analyze_job_failure(job_id={done['id']})")
    reason = str(job.get("job_explanation") or f"{len(failed)} of its nodes failed")
    return {"category": "workflow", "summary": reason, "failures": failed, "suggestions": suggestions[:EXAMPLES]}


def _suggestions(job: Object, failures: Sequence[Failure]) -> list[str]:
    hints = list(dict.fromkeys(failure["hint"] for failure in failures if "hint" in failure))
    if job["type"] == "job" and job["status"] == "failed":
        hints.append(f"once it is put right: awx_relaunch_job(job_id={job['id']}, hosts='failed')")
    return hints


def message_of(event: Object, *, printed: bool = True) -> str:
    """What the module said, in one line; a loop says it in its items. Else what was `printed`, if that may be."""
    result = result_of(event)
    failed = (mapping(item) for item in sequence(result.get("results")))
    details = next((str(item["msg"]) for item in failed if item.get("failed") and item.get("msg")), None)
    text = details or str(result.get("msg") or result.get("stderr") or (_printed(event) if printed else ""))
    return " ".join(clean(text).split())[:MESSAGE]


def _printed(event: Object) -> str:
    return str(event.get("stdout") or event.get("event_display") or "")


def result_of(event: Object) -> Object:
    """What the module of an event answered."""
    return mapping(mapping(event.get("event_data")).get("res"))


def _without(message: str, host: str) -> str:
    """A message that is the same for all hosts: without the host's name, numbers and what looks like an address."""
    text = message.replace(host, "{host}") if host else message
    return re.sub(r"0x[0-9a-f]+|\d+(\.\d+)*", "#", text)
