"""Workflows: which node of a workflow job runs next, and when the whole is done."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from pegboard_awx.double.kinds import Row
from pegboard_awx.double.spawning import spawn
from pegboard_awx.double.world import World

if TYPE_CHECKING:
    from pegboard_awx.double.life import Life

EDGES = ("success_nodes", "failure_nodes", "always_nodes")
FINAL = frozenset({"successful", "failed", "error", "canceled"})


class Workflows:
    """Runs the nodes of workflow jobs, each when its parents have ended as its edges say."""

    def __init__(self, world: World, life: "Life") -> None:
        self._world = world
        self._life = life

    def begin(self, workflow: Row, at: datetime) -> None:
        """Start the nodes without parents; a workflow without nodes is done at once."""
        nodes = self._nodes(workflow)
        if not nodes:
            self._life.finish(workflow, "successful", at)
        for node in nodes:
            if not self._parents(node, nodes):
                self._start(workflow, node, at)

    def advance(self, job: Row, at: datetime) -> None:
        """Go on after one job of a workflow has ended."""
        node = self._world.store.find("workflow_job_nodes", job=job["id"])
        workflow = None if node is None else self._world.store.get("workflow_jobs", node["workflow_job"])
        if workflow is None or workflow["status"] in FINAL:
            return
        nodes = self._nodes(workflow)
        if not workflow.get("_canceled"):
            while self._decide(workflow, nodes, at):
                pass
        jobs = [self._job(one) for one in nodes]
        if all(
            one["do_not_run"] or (run is not None and run["status"] in FINAL)
            for one, run in zip(nodes, jobs, strict=True)
        ):
            self._life.finish(workflow, "failed" if self._has_failed(nodes) else "successful", at)

    def cancel(self, workflow: Row) -> None:
        """Cancel what still runs for a workflow."""
        for node in self._nodes(workflow):
            job = self._job(node)
            if job is not None and job["status"] not in FINAL:
                self._life.cancel(job)

    def _decide(self, workflow: Row, nodes: Sequence[Row], at: datetime) -> bool:
        """Start or rule out every node whose parents are all decided; whether there was one."""
        decided = False
        for node in nodes:
            parents = self._parents(node, nodes)
            if node["job"] is not None or node["do_not_run"] or not parents:
                continue
            if not all(parent["do_not_run"] or self._done(parent) for parent, _ in parents):
                continue
            reached = [self._leads(parent, edge) for parent, edge in parents]
            wanted = all(reached) if node["all_parents_must_converge"] else any(reached)
            decided = True
            if wanted:
                self._start(workflow, node, at)
            else:
                node["do_not_run"] = True
        return decided

    def _start(self, workflow: Row, node: Row, at: datetime) -> None:
        job = spawn(self._world, workflow, node, at)
        node.update(job=job["id"], modified=at)
        self._life.start(job)
        if job["_collection"] == "workflow_approvals":
            timeout = job["_timeout"]
            job["started"] = at
            job["approval_expiration"] = job["_next"] = at + timedelta(seconds=timeout) if timeout else None

    def _nodes(self, workflow: Row) -> list[Row]:
        return list(self._world.store.where("workflow_job_nodes", workflow_job=workflow["id"]))

    def _parents(self, node: Row, nodes: Sequence[Row]) -> list[tuple[Row, str]]:
        return [(one, edge) for one in nodes for edge in EDGES if node in self._world.store.linked(one, edge)]

    def _job(self, node: Row) -> Row | None:
        return self._world.store.get("unified_jobs", node["job"])

    def _done(self, node: Row) -> bool:
        job = self._job(node)
        return job is not None and job["status"] in FINAL

    def _leads(self, parent: Row, edge: str) -> bool:
        """Whether an edge is taken: its parent ran, and ended as the edge says."""
        job = self._job(parent)
        if job is None or parent["do_not_run"]:
            return False
        return edge == "always_nodes" or (edge == "success_nodes") is (job["status"] == "successful")

    def _has_failed(self, nodes: Sequence[Row]) -> bool:
        """Whether a failure was left without a node that deals with it."""
        for node in nodes:
            job = self._job(node)
            handled = self._world.store.linked(node, "failure_nodes") or self._world.store.linked(node, "always_nodes")
            if job is not None and job["status"] != "successful" and not handled:
                return True
        return False
