"""Runs: jobs of every kind by type and number, and what is worth telling about one."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, Self, cast

from typing_extensions import TypedDict

from pegboard_awx.api import Api, Object, named
from pegboard_awx.failures import AwxError
from pegboard_awx.shapes import brief, mapping, moment, variables

JobType = Literal["auto", "job", "workflow_job", "project_update", "inventory_update", "ad_hoc_command", "system_job"]
"""What a caller may name; with "auto" AWX is asked."""

FINAL = frozenset({"successful", "failed", "error", "canceled"})
ACTIVE = frozenset({"new", "pending", "waiting", "running"})


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of job: its list, the list of events below one of them, and the page of the web."""

    collection: str
    events: str | None
    page: str


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "job": Kind("jobs", "job_events", "playbook"),
        "workflow_job": Kind("workflow_jobs", None, "workflow"),
        "project_update": Kind("project_updates", "events", "project"),
        "inventory_update": Kind("inventory_updates", "events", "inventory"),
        "ad_hoc_command": Kind("ad_hoc_commands", "events", "command"),
        "system_job": Kind("system_jobs", "events", "management"),
    }
)
"""By the type of the job."""


@dataclass(frozen=True, slots=True)
class Run:
    """Which job: its type, and its number, which no other job of any type has."""

    type: str
    id: int

    @classmethod
    async def of(cls, api: Api, id: int, type: JobType = "auto") -> Self:  # noqa: A002 # the words of AWX
        """The run with this number; raises `AwxError` "not_found", or "permission" for one the user may not see."""
        if type != "auto":
            return cls(type, id)
        found = await api.first("unified_jobs", params={"id": id})
        if found is None:
            await _refuse(api, id)
        return cls(str(found["type"]) if found else "job", id)

    @property
    def kind(self) -> Kind:
        """Where jobs of its type are; raises `AwxError` for a type that is no job of its own."""
        if self.type not in KINDS:
            raise AwxError("validation", f"{self.id} is a {self.type.replace('_', ' ')}, not a job")
        return KINDS[self.type]

    @property
    def path(self) -> tuple[str, int]:
        """Its path, in segments."""
        return self.kind.collection, self.id

    @property
    def next_wait(self) -> str:
        """The call that waits for it."""
        return f"awx_wait_for_job(job_id={self.id})"

    def __str__(self) -> str:
        return f"{self.type.replace('_', ' ')} {self.id}"


async def _refuse(api: Api, id_: int) -> None:
    """A list leaves out what is not there and what may not be seen alike; asking for the job itself tells which."""
    try:
        await api.get("jobs", id_)
    except AwxError as error:
        if error.kind != "not_found":
            raise
        hint = "awx_list_jobs and awx_list_unified_jobs list what there is; old jobs are deleted in time"
        raise AwxError("not_found", f"there is no job {id_}", hint=hint, status=404) from error


def is_final(job: Object) -> bool:
    """Whether a job has ended, well or not."""
    return job["status"] in FINAL


def is_complete(job: Object) -> bool:
    """Whether a job has ended and all its output has arrived; AWX says nothing about the output of workflows."""
    return is_final(job) and job.get("event_processing_finished", True) is True


class Shown(TypedDict, total=False):
    """What is told about one job; what is empty is left out."""

    id: int
    type: str
    name: str
    status: str
    is_finished: bool
    output_complete: bool
    created: str
    started: str
    finished: str
    elapsed_s: float
    launched_by: str
    template: str
    inventory: str
    limit: str
    job_type: str
    hosts: dict[str, int]
    explanation: str
    traceback_tail: str
    extra_vars: dict[str, Any]
    artifacts: dict[str, Any]
    web_url: str


async def shown(api: Api, job: Object) -> Shown:
    """One job without what nobody reads: neither `related`, `summary_fields`, `job_env` nor `job_args`."""
    run = Run(str(job["type"]), int(job["id"]))
    told = brief(
        id=run.id,
        type=run.type,
        name=job.get("name"),
        status=job["status"],
        created=moment(job.get("created")) if job.get("started") is None else None,
        started=moment(job.get("started")),
        finished=moment(job.get("finished")),
        elapsed_s=round(float(job["elapsed"]), 1) if job.get("started") else None,
        launched_by=mapping(job.get("launched_by")).get("name"),
        template=named(job, "unified_job_template") if run.type in ("job", "workflow_job") else None,
        inventory=named(job, "inventory"),
        limit=job.get("limit"),
        job_type="check" if job.get("job_type") == "check" else None,
        hosts={name: count for name, count in mapping(job.get("host_status_counts")).items() if count},
        explanation=job.get("job_explanation"),
        traceback_tail=(job.get("result_traceback") or "")[-600:],
        extra_vars=variables(job.get("extra_vars")),
        artifacts=job.get("artifacts"),
    )
    ends = {"is_finished": is_final(job), "output_complete": is_complete(job)}
    return cast(Shown, {**told, **ends, "web_url": await web_url(api, run)})


async def web_url(api: Api, run: Run) -> str:
    """The page of a job for people."""
    place = await api.place()
    folder = "#" if place.platform == "awx" else "execution"
    return f"{api.server.target.base}/{folder}/jobs/{run.kind.page}/{run.id}/output"
