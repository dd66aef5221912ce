"""Waiting for a job: until it is done and its output complete, or until it is time to hand over a handle."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import anyio

from pegboard import Call
from pegboard_awx.api import Api, Object
from pegboard_awx.doing import Doing, doing
from pegboard_awx.failures import AwxError
from pegboard_awx.output import tail
from pegboard_awx.pending import why_pending
from pegboard_awx.runs import Run, Shown, is_complete, is_final, shown
from pegboard_awx.settings import Settings

WAIT_TIMEOUT = 50.0
"""Seconds a tool that waits takes at most, since most clients give up after 60: `@tool(timeout=WAIT_TIMEOUT)`."""
POLL = 2.0
SLOWEST = 10.0
GROWTH = 1.25
SETTLING = 0.5
"""Seconds between two looks once the job has ended, until its output is complete."""
OUTPUT_CAP = 10.0
"""Seconds to wait for the output after the end; AWX may never say that it is complete."""
TAIL = 20


class Result(Shown, total=False):
    """What a tool says that started a job or waited for one."""

    job_id: int
    now: str
    output_tail: str
    warnings: list[str]
    next: str


@dataclass(slots=True)
class Waited:
    """The job as it was seen last, what it was doing, and what kept AWX from telling more."""

    job: Object
    is_done: bool = False
    """It has ended, and its output is complete or has had its time."""
    now: Doing = field(default_factory=lambda: Doing(""))
    trouble: str = ""
    _ended: float | None = field(default=None, repr=False)

    def see(self, job: Object) -> None:
        """Take in how the job is."""
        self.job, self.trouble = job, ""
        moment = anyio.current_time()
        if is_final(job) and self._ended is None:
            self._ended = moment
        self.is_done = is_complete(job) or (self._ended is not None and moment - self._ended >= OUTPUT_CAP)


async def wait(
    call: Call[Settings],
    api: Api,
    run: Run,
    seconds: float | None = None,
    *,
    poll: float | None = None,
    job: Object | None = None,
) -> Waited:
    """Look at a job again and again until it is done, at most `seconds` and no longer than the call may wait.

    `job` is how it is now, where that is known. The client hears how it goes. Raises `AwxError` when the job is not
    there or may not be seen; an AWX that is away for a while is waited for. A workflow in which only an approval is
    left to be decided is not.
    """
    poll = POLL if poll is None else poll
    waited = Waited(job or await api.get(*run.path))
    waited.see(waited.job)
    steps = 0
    with call.waiting(seconds):
        while not waited.is_done:
            waited.now = await _doing(api, run, waited)
            steps += 1
            await call.progress(steps, None, f"{run}: {waited.now.words}")
            if waited.now.approval is not None:
                break
            await anyio.sleep(SETTLING if is_final(waited.job) else poll)
            poll = max(poll, min(SLOWEST, poll * GROWTH))
            await _look(api, run, waited)
    return waited


async def outcome(
    call: Call[Settings],
    api: Api,
    run: Run,
    seconds: float | None = None,
    *,
    poll: float | None = None,
    job: Object | None = None,
    warnings: Sequence[str] = (),
) -> Result:
    """Wait for a job, and answer with its result, or with how it stands and what to call next."""
    waited = await wait(call, api, run, seconds, poll=poll, job=job)
    answer = await handle(api, run, waited.job, [*warnings, *([waited.trouble] if waited.trouble else [])])
    try:
        if is_final(waited.job):
            return {**answer, **await _ending(api, run)}
        if waited.now.approval is not None:
            answer["next"] = deciding(waited.now.approval)
        return {**answer, "now": await why_pending(api, run, waited.job) or waited.now.words}
    except AwxError as error:  # the handle is what matters
        return {**answer, "warnings": [*answer.get("warnings", ()), error.message]}


async def _ending(api: Api, run: Run) -> Result:
    return {} if run.kind.events is None else {"output_tail": (await tail(api, run, TAIL)).text}


async def handle(api: Api, run: Run, job: Object, warnings: Sequence[str] = ()) -> Result:
    """What is told of a job that was just started: its number, how it stands, and what to call next."""
    told = {name: value for name, value in (await shown(api, job)).items() if name != "id"}
    answer = cast(Result, {"job_id": run.id, **told})
    if warnings:
        answer["warnings"] = list(warnings)
    if not is_final(job):
        answer["next"] = run.next_wait
    elif job["status"] != "successful":
        answer["next"] = f"awx_analyze_job_failure(job_id={run.id})"
    return answer


def deciding(approval: int) -> str:
    """The call that decides an approval."""
    return f"awx_decide_workflow_approval(approval_id={approval}, decision='approve' or 'deny')"


async def _look(api: Api, run: Run, waited: Waited) -> None:
    """See how the job is now; an AWX that cannot be asked at the moment does not end the waiting."""
    try:
        waited.see(await api.get(*run.path))
    except AwxError as error:
        if error.kind not in ("unreachable", "timeout"):
            raise
        waited.trouble = f"{error.message}; the job itself goes on"


async def _doing(api: Api, run: Run, waited: Waited) -> Doing:
    try:
        return await doing(api, run, waited.job)
    except AwxError as error:  # it is for telling only
        waited.trouble = error.message
        return Doing(str(waited.job["status"]))
