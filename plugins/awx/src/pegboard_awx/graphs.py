"""Graphs: the nodes of a workflow, checked as a whole and then made one by one."""

from collections.abc import Mapping, Sequence
from typing import Any, Required

from typing_extensions import TypedDict

from pegboard import Call
from pegboard_awx.api import Api
from pegboard_awx.failures import AwxError
from pegboard_awx.settings import Settings

NODES = "workflow_job_template_nodes"
EDGES = ("success", "failure", "always")
UNDOING = 3.0
"""Seconds kept of a call to take back what was made, when the rest cannot be."""


class Approval(TypedDict, total=False):
    """What somebody has to approve; after `timeout` seconds it counts as denied, with 0 never."""

    name: Required[str]
    description: str
    timeout: int


class Node(TypedDict, total=False):
    """A node and the nodes that follow it."""

    id: Required[str]
    template_id: int | str
    approval: Approval
    success: list[str]
    failure: list[str]
    always: list[str]


class Made(TypedDict):
    """A node as AWX has it."""

    node_id: int
    identifier: str


def checked(nodes: Sequence[Node]) -> None:
    """Return if AWX can make these nodes; raises `AwxError` with everything that is wrong, before anything is made."""
    wrong = [*_twice(nodes), *(text for node in nodes for text in _of_one(node, nodes)), *_circle(nodes)]
    if wrong:
        raise AwxError("validation", f"the workflow was not made: {'; '.join(wrong)}", hint="correct the nodes")


async def build(
    call: Call[Settings], api: Api, workflow: int, nodes: Sequence[Node], templates: Mapping[str, int]
) -> list[Made]:
    """Give a new workflow its nodes. When one cannot be made the whole workflow is deleted again, or the `AwxError`
    says that it is there in part."""
    try:
        return await _built(call, api.ending(UNDOING), workflow, nodes, templates)
    except AwxError as error:
        raise await _undone(api, workflow, error) from error


async def _built(
    call: Call[Settings], api: Api, workflow: int, nodes: Sequence[Node], templates: Mapping[str, int]
) -> list[Made]:
    made: dict[str, int] = {}
    for number, node in enumerate(nodes):
        await call.progress(number, len(nodes), f"node {node['id']}")
        made[node["id"]] = await _node(api, workflow, node, templates.get(node["id"]))
    for node in nodes:
        for edge in EDGES:
            for follower in node.get(edge, ()):
                await api.associate(NODES, made[node["id"]], f"{edge}_nodes", id=made[follower])
    return [{"node_id": id_, "identifier": identifier} for identifier, id_ in made.items()]


async def _node(api: Api, workflow: int, node: Node, template: int | None) -> int:
    body: dict[str, Any] = {"identifier": node["id"]}
    if template is not None:
        body["unified_job_template"] = template
    made = int((await api.post("workflow_job_templates", workflow, "workflow_nodes", json=body))["id"])
    if "approval" in node:
        await api.post(
            NODES, made, "create_approval_template", json={"timeout": 0, "description": "", **node["approval"]}
        )
    return made


async def _undone(api: Api, workflow: int, error: AwxError) -> AwxError:
    """The error that says what is left after one step of making a workflow has failed."""
    try:
        await api.delete("workflow_job_templates", workflow)
    except AwxError:  # what went wrong first tells more
        hint = f"the workflow {workflow} is there in part: awx_delete_workflow_job_template(workflow_id={workflow})"
        return AwxError(error.kind, error.message, hint=hint, status=error.status, fields=error.fields, unsure=True)
    hint = "the workflow was taken back, so nothing is left of it; correct that and create it again"
    return AwxError(error.kind, error.message, hint=hint, status=error.status, fields=error.fields)


def _twice(nodes: Sequence[Node]) -> list[str]:
    ids = [node["id"] for node in nodes]
    return [f"{id_!r} is the id of several nodes" for id_ in sorted({id_ for id_ in ids if ids.count(id_) > 1})]


def _of_one(node: Node, nodes: Sequence[Node]) -> list[str]:
    """What is wrong with one node."""
    known = {one["id"] for one in nodes}
    followers = [follower for edge in EDGES for follower in node.get(edge, ())]
    wrong = [
        f"{node['id']!r} leads to {follower!r}, which is no node" for follower in followers if follower not in known
    ]
    if ("template_id" in node) is ("approval" in node):
        wrong.append(f"{node['id']!r} needs a template_id or an approval, one of them")
    return wrong


def _circle(nodes: Sequence[Node]) -> list[str]:
    """The nodes that can never start, since a circle leads back before them."""
    parents: dict[str, set[str]] = {node["id"]: set() for node in nodes}
    for node in nodes:
        for edge in EDGES:
            for follower in node.get(edge, ()):
                parents.get(follower, set()).add(node["id"])
    while free := [id_ for id_, before in parents.items() if not before & parents.keys()]:
        for id_ in free:
            del parents[id_]
    return [f"{', '.join(map(repr, parents))} can never start: there is a circle among them"] if parents else []
