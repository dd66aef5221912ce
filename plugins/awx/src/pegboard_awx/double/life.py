"""The life of jobs: from pending over running to the end, moved on by nothing but the time."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from pegboard_awx.double import effects
from pegboard_awx.double.events import Story, tell
from pegboard_awx.double.kinds import Row
from pegboard_awx.double.playbooks import FAILED_PROJECT, UPDATE_PROJECT, Playbook, ad_hoc, playbook
from pegboard_awx.double.summaries import inventory_hosts
from pegboard_awx.double.targets import chosen
from pegboard_awx.double.workflows import Workflows
from pegboard_awx.double.world import NODE, World

FINAL = frozenset({"successful", "failed", "error", "canceled"})
ACTIVE = frozenset({"new", "pending", "waiting", "running"})

DISPATCH = timedelta(seconds=0.1)
"""How long a job is pending, and again waiting, when nothing is in its way."""
LAG = timedelta(seconds=1)
"""How long after it happens an event can be read; so the output is complete only after the end."""
CANCELING = timedelta(seconds=0.5)

SECONDS = {"inventory_updates": 3.0, "system_jobs": 1.5}


class Life:
    """Moves the jobs of a world; `settle` before looking at anything."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._active: list[Row] = []
        self._stories: dict[tuple[str, int], Story] = {}
        self._workflows = Workflows(world, self)

    def start(self, job: Row) -> Row:
        """Take up a job that was just made; it is pending."""
        job["_next"] = job["created"] + DISPATCH
        self._active.append(job)
        return job

    def replay(self, job: Row, at: datetime) -> None:
        """Live a job of the past to its end at once."""
        self._run(job, at)
        story = self._story(job)
        self.finish(job, "failed" if story.failed else "successful", job["_next"])
        job.update(event_processing_finished=True, _next=None)

    def settle(self) -> None:
        """Let everything happen that is due."""
        now = self._world.now()
        while True:
            due = [job for job in self._active if job["_next"] is not None and job["_next"] <= now]
            if not due:
                return
            self._step(min(due, key=lambda job: job["_next"]))

    def cancel(self, job: Row) -> None:
        """Ask a job to end; it takes a moment."""
        now = self._world.now()
        job["_canceled"] = True
        job["canceled_on"] = now
        job["_next"] = now + (CANCELING if job["status"] == "running" else timedelta())
        if job["_collection"] == "workflow_jobs":
            self._workflows.cancel(job)

    def events(self, job: Row) -> list[Row]:
        """The events of a job that can be read by now."""
        story = self._stories.get((job["_collection"], job["id"]))
        if story is None:
            if job["started"] is None or job["_collection"] in ("workflow_jobs", "workflow_approvals"):
                return []
            story = self._tell(job)
        limit = self._world.now() if job["finished"] is None else min(self._world.now(), job["finished"] + LAG)
        return [event for event in story.events if event["_at"] + LAG <= limit]

    def finish(self, job: Row, status: str, at: datetime) -> None:
        """End a job, and let everybody know who waited for it."""
        job.update(status=status, failed=status != "successful", finished=at, modified=at)
        if job["started"] is not None:
            job["elapsed"] = round((at - job["started"]).total_seconds(), 3)
        job["_next"] = at + LAG
        self._outcome(job)
        for other in self._active:
            if other["_next"] is None and other["status"] == "pending" and other["_collection"] != "workflow_approvals":
                other["_next"] = at
        self._workflows.advance(job, at)

    def is_blocked(self, job: Row) -> bool:
        """Whether another run of the same template has to end first."""
        template = self._world.store.get("unified_job_templates", job.get("unified_job_template"))
        if template is None or template.get("allow_simultaneous"):
            return False
        same = (one for one in self._active if one.get("unified_job_template") == template["id"])
        return any(one["id"] < job["id"] and one["status"] in ("waiting", "running", "pending") for one in same)

    def _step(self, job: Row) -> None:
        """The next thing that happens to one job, at its time."""
        at: datetime = job["_next"]
        if job["status"] in FINAL:
            job["event_processing_finished"] = True
            self._active.remove(job)
        elif job.get("_canceled"):
            job["job_explanation"] = "" if job["status"] != "pending" else job["job_explanation"]
            self.finish(job, "canceled", at)
        elif job["_collection"] == "workflow_approvals":
            job["timed_out"] = True
            self.finish(job, "failed", at)
        elif job["status"] in ("new", "pending"):
            self._dispatch(job, at)
        elif job["status"] == "waiting":
            self._run(job, at)
        elif job["_collection"] != "workflow_jobs":
            story = self._story(job)
            self.finish(job, "failed" if story.failed or job.get("_fails") else "successful", at)

    def _dispatch(self, job: Row, at: datetime) -> None:
        if self.is_blocked(job):
            job["_next"] = None
            return
        job.update(status="waiting", _next=at + DISPATCH, modified=at)
        if job["_collection"] == "workflow_jobs":
            job.update(status="running", started=at, _next=None)
            effects.began(self._world, job)
            self._workflows.begin(job, at)

    def _run(self, job: Row, at: datetime) -> None:
        job.update(status="running", started=at, execution_node=NODE, modified=at, job_cwd="/runner/project")
        job["job_args"] = '["podman", "run", "--rm", "--tty", "--interactive"]'
        job["job_env"] = {"JOB_ID": str(job["id"]), "AWX_HOST": "https://awx.alpenkraft.example"}
        if "controller_node" in job:
            job["controller_node"] = NODE
        job["work_unit_id"] = f"wu{job['id']:06}"
        store = self._world.store
        queue = "controlplane" if job["_collection"] == "project_updates" else "default"
        group = store.find("instance_groups", name=queue)
        job["instance_group"] = None if group is None else group["id"]
        if job["_collection"] != "system_jobs":
            job["execution_environment"] = job.get("execution_environment") or 1
        effects.began(self._world, job)
        job["_next"] = at + timedelta(seconds=job.get("_seconds") or self._story(job).book.seconds)

    def _story(self, job: Row) -> Story:
        return self._stories.get((job["_collection"], job["id"])) or self._tell(job)

    def _tell(self, job: Row) -> Story:
        seconds = job.get("_seconds")
        book = _book(job)
        if seconds is not None:
            book = Playbook(book.file, book.play, book.tasks, seconds, book.artifacts, book.gathers_facts)
        story = tell(job, book, self._hosts(job), job["started"])
        self._stories[job["_collection"], job["id"]] = story
        return story

    def _hosts(self, job: Row) -> Sequence[Row]:
        inventory = self._world.store.get("inventories", job.get("inventory"))
        if job["_collection"] in ("project_updates", "inventory_updates", "system_jobs") or inventory is None:
            return [{"name": "localhost"}]
        hosts = [host for host in inventory_hosts(self._world.store, inventory) if host["enabled"]]
        return chosen(self._world.store, hosts, job.get("limit") or "")

    def _outcome(self, job: Row) -> None:
        """Write down what a run has done: counts, summaries of hosts, the state of its template."""
        story = self._stories.get((job["_collection"], job["id"]))
        if story is not None and job["_collection"] in ("jobs", "ad_hoc_commands", "project_updates"):
            job["host_status_counts"] = dict(Counter(_worst(counts) for counts in story.counts.values() if counts))
            job["playbook_counts"] = {"play_count": 1, "task_count": len(story.book.tasks)}
        if story is not None and job["_collection"] == "jobs":
            job["artifacts"] = dict(story.book.artifacts) if job["status"] == "successful" else {}
            effects.summarize(self._world, job, story)
        effects.ended(self._world, job)


def _book(job: Row) -> Playbook:
    collection = job["_collection"]
    if collection == "ad_hoc_commands":
        return ad_hoc(job["module_name"], job["module_args"])
    if collection in ("inventory_updates", "system_jobs"):
        return Playbook(collection, collection, (), SECONDS[collection])
    if collection == "project_updates":
        return FAILED_PROJECT if job.get("_fails") else UPDATE_PROJECT
    return playbook(job["playbook"])


def _worst(counts: Counter[str]) -> Any:
    return next(name for name in ("dark", "failures", "changed", "ok", "skipped", "processed") if counts[name])
