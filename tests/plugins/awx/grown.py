"""The company after ten good years: more of everything than one answer can take, each with much to say."""

import json
import pickle
from functools import cache
from typing import Any

from tests.plugins.awx.conftest import company, restored

from pegboard_awx.double import Double
from pegboard_awx.double.kinds import Row
from pegboard_awx.double.spawning import run

MANY = 210
"""More than AWX gives on a page."""
LONG = "Ask the platform team before you touch this. " * 40
VARIABLES = json.dumps({f"setting_{index:03}": f"a value of some length, number {index}" for index in range(120)})

KEYS = {"users": "username", "instances": "hostname"}
"""What a thing is called by, where that is not its name."""
GROWING = (
    *("organizations", "users", "teams", "credentials", "credential_types", "projects", "inventories", "groups"),
    *("hosts", "inventory_sources", "job_templates", "workflow_job_templates", "schedules", "notification_templates"),
    *("execution_environments", "instances", "instance_groups", "role_definitions"),
)


def grown(**how: Any) -> Double:
    """A fresh double of the company that has grown."""
    return restored(_grown(), **how)


@cache
def _grown() -> bytes:
    double = company()
    for collection in GROWING:
        _multiply(double, collection)
    _crowd(double)
    _work(double)
    return pickle.dumps((double.world, double.life))


def _multiply(double: Double, collection: str) -> None:
    """Many like the first one, with a long description and many variables, where they have such."""
    first, key = double.world.store.all(collection)[0], KEYS.get(collection, "name")
    first.update(_wordy(first))
    for index in range(MANY):
        values = {name: value for name, value in first.items() if name not in ("id", "_collection", "_by")}
        values[key] = f"{first[key]} of the branch in valley number {index:03}"
        double.world.make(collection, double.world.store.get("users", 1), **values)


def _wordy(row: Row) -> dict[str, Any]:
    long = {"description": LONG, "variables": VARIABLES, "extra_vars": VARIABLES, "source_vars": VARIABLES}
    return {name: value for name, value in long.items() if name in row}


def _crowd(double: Double) -> None:
    """Everybody is in the first team and may run the first template, and the first host knows much about itself."""
    store, world = double.world.store, double.world
    team, template = store.all("teams")[0], store.all("job_templates")[0]
    for user in store.all("users"):
        for row, role in ((team, "member_role"), (template, "execute_role")):
            store.link(world.role(row, role), "users", user)
    for host in store.all("hosts"):
        store.link(store.all("groups")[0], "hosts", host)
    store.all("hosts")[0]["_facts"] = {f"ansible_fact_{index:03}": LONG for index in range(200)}
    template["_survey"]["spec"] = [
        {**question, "variable": f"{question['variable']}_{index}", "question_description": LONG}
        for index in range(40)
        for question in template["_survey"]["spec"]
    ]


def _work(double: Double) -> None:
    """Runs of every kind of template, of which the last wait for one another."""
    store, admin = double.world.store, double.world.store.all("users")[0]
    for collection in ("projects", "inventory_sources", "workflow_job_templates", "system_job_templates"):
        double.life.start(run(double.world, store.all(collection)[0], admin))
    for _ in range(MANY):
        double.life.start(run(double.world, store.all("job_templates")[3], admin, {"extra_vars": {"why": LONG}}))
    double.clock.advance(60)
    double.life.settle()
