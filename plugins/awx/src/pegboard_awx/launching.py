"""Launching: what may be launched is checked, sent once, and looked up when its answer is lost."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import anyio

from pegboard import Call
from pegboard_awx.allowed import permit_inventory, permit_template
from pegboard_awx.api import Api, Object, named
from pegboard_awx.failures import AwxError
from pegboard_awx.launches import Launch
from pegboard_awx.names import resolve
from pegboard_awx.paths import Segment
from pegboard_awx.prompts import Terms, checked, problems
from pegboard_awx.runs import ACTIVE, KINDS, Run, is_final
from pegboard_awx.settings import Settings
from pegboard_awx.shapes import ENCRYPTED, mapping, parsed

LOOKING = 6.0
"""Seconds kept of a call to find out what became of a launch whose answer was lost."""
LOOKS = 3
PAUSE = 0.5
CANDIDATES = 10

RUNS: Mapping[str, str] = MappingProxyType({"job_templates": "job", "workflow_job_templates": "workflow_job"})
"""What becomes of a template."""
UPDATES = frozenset({"project_update", "inventory_update"})


@dataclass(frozen=True, slots=True)
class Started:
    """A job that was started, or that the same launch had started just before."""

    run: Run
    job: Object
    warnings: list[str] = field(default_factory=list[str])


@dataclass(frozen=True, slots=True)
class Start:
    """A request that starts a job: where it goes, what it says, and how its job is found among others."""

    path: tuple[Segment, ...]
    body: Mapping[str, Any]
    type: str
    within: Mapping[str, Any]
    """Filters that hold for its jobs: `{"project": 5}`."""

    def key(self, principal: str | None) -> str:
        """What tells it apart, without what it says: the body may hold passwords."""
        text = json.dumps([principal, self.path, self.body], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()


async def launch(call: Call[Settings], api: Api, collection: str, ref: int | str, given: Mapping[str, Any]) -> Started:
    """Launch a job template or a workflow template, once.

    `given` are the fields of a launch under AWX's names; those that are `None` count as not given. Raises `AwxError`
    before anything is started: "policy" for what the operator does not allow, "validation" for everything that AWX
    would ignore or miss.
    """
    terms = await Terms.of(api, collection, await resolve(api, collection, ref))
    permit_template(call, terms.id, terms.name)
    body = checked(terms, {name: value for name, value in given.items() if value is not None})
    await permit_inventory(call, api, body.get("inventory", terms.default("inventory")))
    within = {"unified_job_template": terms.id}
    try:
        return await start(call, api, (collection, terms.id, "launch"), body, RUNS[collection], within=within)
    except AwxError as error:
        raise problems(terms, error) from error


async def relaunch(call: Call[Settings], api: Api, job: Object, body: Mapping[str, Any]) -> Started:
    """Launch a job once more as it was, where its template and its inventory are allowed."""
    permit_template(call, job["unified_job_template"] or 0, named(job, "unified_job_template") or job["name"])
    await permit_inventory(call, api, job.get("inventory"), named(job, "inventory"))
    within = {"unified_job_template": job["unified_job_template"]}
    return await start(call, api, ("jobs", job["id"], "relaunch"), body, "job", within=within)


async def start(
    call: Call[Settings],
    api: Api,
    path: tuple[Segment, ...],
    body: Mapping[str, Any],
    type: str,  # noqa: A002 # what AWX calls it
    *,
    within: Mapping[str, Any],
) -> Started:
    """Start a job of `type` by a POST, which is sent once whatever happens.

    The same request within `launch_window` seconds answers with the job of the first; that of an update only while the
    first goes on. When the answer is lost, the job is looked for among those `within` these filters; if it cannot be
    found the `AwxError` is `unsure`.
    """
    request = Start(path, body, type, within)
    async with api.server.launches.turn(request.key(call.principal), call.settings.launch_window) as launch:
        earlier = await _earlier(api, request, launch)
        return earlier or await _sent(api, request, launch)


async def _earlier(api: Api, request: Start, launch: Launch) -> Started | None:
    """The job of the same launch a moment ago, if there was one."""
    if launch.job is not None:
        job = await api.get(KINDS[request.type].collection, launch.job)
        if request.type in UPDATES and is_final(job):  # there may be something newer to fetch by now
            launch.refused()
            return None
        warning = f"the same launch started this job {launch.age:.0f} s ago; nothing was started now"
        return Started(Run(request.type, launch.job), job, [warning])
    job = None if launch.after is None else await _find(api, request, launch.after)
    if job is None:
        return None
    launch.job = int(job["id"])
    return Started(Run(request.type, launch.job), job, ["an earlier launch, whose answer was lost, started this job"])


async def _sent(api: Api, request: Start, launch: Launch) -> Started:
    newest = await api.first(KINDS[request.type].collection, params={**request.within, "order_by": "-id"})
    launch.sent(0 if newest is None else int(newest["id"]))
    try:
        answer = await _sooner(api).post(*request.path, json=request.body)
    except AwxError as error:
        if not _may_be_done(error):
            launch.refused()
            raise
        return await _looked_up(api, request, launch, error)
    launch.job = int(answer.get(request.type) or answer["id"])
    return Started(Run(request.type, launch.job), answer, [*_ignored(answer), *_in_its_way(newest)])


async def _looked_up(api: Api, request: Start, launch: Launch, error: AwxError) -> Started:
    """Find the job of a launch whose answer was lost; raises the error again, with what to do, when there is none."""
    for look in range(LOOKS):
        await anyio.sleep(PAUSE if look else 0)
        job = await _found_or_none(api, request, launch.after or 0)
        if job is not None:
            launch.job = int(job["id"])
            warning = "AWX's answer was lost; this is the job it started, found by template and time"
            return Started(Run(request.type, launch.job), job, [warning])
    hint = "its job has not appeared; look once more with awx_list_unified_jobs before you repeat it"
    raise AwxError(error.kind, error.message, hint=hint, status=error.status, unsure=True) from error


async def _found_or_none(api: Api, request: Start, after: int) -> Object | None:
    try:
        return await _find(api, request, after)
    except AwxError:  # the first error tells more than that looking failed, too
        return None


async def _find(api: Api, request: Start, after: int) -> Object | None:
    """The first job newer than `after` that this user started with these values."""
    params = {**request.within, "id__gt": after, "order_by": "id"}
    found = await api.page(KINDS[request.type].collection, params=params, size=CANDIDATES)
    me = await api.first("me") if found.items else None
    return next((job for job in found.items if me and _is_mine(job, me["id"]) and _fits(job, request.body)), None)


def _is_mine(job: Object, user: int) -> bool:
    by = mapping(job.get("launched_by"))
    return by.get("type") == "user" and by.get("id") == user


def _fits(job: Object, body: Mapping[str, Any]) -> bool:
    """Whether a job has the values of a request, as far as jobs show them."""
    variables = parsed(job.get("extra_vars"))
    given = mapping(body.get("extra_vars"))
    same = (variables.get(name) in (value, ENCRYPTED) for name, value in given.items())
    plain = {name: value for name, value in body.items() if name in job and isinstance(value, str | int | bool)}
    return all(same) and all(job[name] == value for name, value in plain.items())


def _sooner(api: Api) -> Api:
    """The way of a request that leaves time to look for its job, where the call has it."""
    if api.deadline is None:
        return api
    left = api.deadline - anyio.current_time()
    return replace(api, deadline=api.deadline - min(LOOKING, left / 3))


def _may_be_done(error: AwxError) -> bool:
    """Whether a request may have been carried out; also when it was answered well, but with something unreadable."""
    return error.unsure or (error.status is not None and error.status < 300)


def _ignored(answer: Object) -> list[str]:
    names = ", ".join(mapping(answer.get("ignored_fields")))
    return [f"AWX ignored {names}, which the template does not let a launch choose"] if names else []


def _in_its_way(newest: Object | None) -> list[str]:
    """A template that does not run twice at once makes the next job wait."""
    if newest is None or newest["status"] not in ACTIVE or newest.get("allow_simultaneous") is not False:
        return []
    return [f"job {newest['id']} of the same template is {newest['status']}; this one waits for its end"]
