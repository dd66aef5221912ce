"""Prompts: what a launch may ask for, what it takes of a request, and what it ignores."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, cast

from pegboard_awx.double import surveys
from pegboard_awx.double.fields import Reasons, value
from pegboard_awx.double.kinds import Row, kinds
from pegboard_awx.double.refusals import bad, bad_field
from pegboard_awx.double.variables import given as given_variables
from pegboard_awx.double.world import World

FLAGS: Mapping[str, str] = MappingProxyType(
    {
        "extra_vars": "ask_variables_on_launch",
        "limit": "ask_limit_on_launch",
        "inventory": "ask_inventory_on_launch",
        "credentials": "ask_credential_on_launch",
        "job_tags": "ask_tags_on_launch",
        "skip_tags": "ask_skip_tags_on_launch",
        "job_type": "ask_job_type_on_launch",
        "verbosity": "ask_verbosity_on_launch",
        "scm_branch": "ask_scm_branch_on_launch",
        "diff_mode": "ask_diff_mode_on_launch",
        "forks": "ask_forks_on_launch",
        "timeout": "ask_timeout_on_launch",
        "job_slice_count": "ask_job_slice_count_on_launch",
        "execution_environment": "ask_execution_environment_on_launch",
        "labels": "ask_labels_on_launch",
        "instance_groups": "ask_instance_groups_on_launch",
    }
)
"""The flag of a template that lets a launch set a field."""

LISTS = MappingProxyType({"credentials": "credentials", "labels": "labels", "instance_groups": "instance_groups"})


@dataclass(slots=True)
class Answers:
    """What a launch takes, and what it ignores."""

    taken: dict[str, Any] = field(default_factory=dict[str, Any])
    ignored: dict[str, Any] = field(default_factory=dict[str, Any])


def answered(world: World, template: Row, body: Mapping[str, Any]) -> Answers:
    """Divide what a request gives into taken and ignored; refuses what cannot be."""
    answers = Answers()
    for name, flag in FLAGS.items():
        if name not in body or flag not in template:
            continue
        if name == "extra_vars":
            _variables(template, given_variables(name, body[name]), answers)
        elif not template[flag]:
            answers.ignored[name] = body[name]
        else:
            answers.taken[name] = _checked(world, template, name, body[name])
    missing = surveys.complaints(template, answers.taken.get("extra_vars", {}))
    if missing:
        raise bad({"variables_needed_to_start": missing})
    answers.taken["extra_vars"] = {**surveys.defaults(template), **answers.taken.get("extra_vars", {})}
    return answers


def launch_info(world: World, template: Row) -> dict[str, Any]:
    """What `GET launch/` tells about a job template."""
    flags = {flag: template[flag] for flag in FLAGS.values()}
    needed = surveys.needed(template)
    no_inventory = template["inventory"] is None
    inventory = world.store.get("inventories", template["inventory"])
    shown = {"inventory", "limit", "scm_branch", "job_tags", "skip_tags", "extra_vars", "diff_mode", "job_type"}
    shown |= {"verbosity", "forks", "job_slice_count", "timeout"}
    defaults: dict[str, Any] = {name: template[name] for name in FLAGS if name in shown}
    defaults["inventory"] = {} if inventory is None else {"name": inventory["name"], "id": inventory["id"]}
    environment = world.store.get("execution_environments", template["execution_environment"])
    defaults["execution_environment"] = (
        {} if environment is None else {"name": environment["name"], "id": environment["id"]}
    )
    defaults["instance_groups"] = []
    credentials = world.store.linked(template, "credentials")
    if credentials:
        defaults["credentials"] = [_credential(one) for one in credentials]
    if labels := world.store.linked(template, "labels"):
        defaults["labels"] = [{"id": one["id"], "name": one["name"]} for one in labels]
    passwords = passwords_needed(world, template)
    return {
        "can_start_without_user_input": not (any(flags.values()) or needed or no_inventory or passwords),
        "passwords_needed_to_start": passwords,
        **flags,
        "survey_enabled": template["survey_enabled"],
        "variables_needed_to_start": needed,
        "credential_needed_to_start": False,
        "inventory_needed_to_start": no_inventory,
        "job_template_data": {name: template[name] for name in ("name", "id", "description")},
        "defaults": defaults,
    }


def workflow_launch_info(world: World, template: Row) -> dict[str, Any]:
    """What `GET launch/` tells about a workflow template."""
    flags = {flag: template[flag] for flag in FLAGS.values() if flag in template}
    inventory = world.store.get("inventories", template["inventory"])
    named = {"name": None, "id": None} if inventory is None else {"name": inventory["name"], "id": inventory["id"]}
    needed = surveys.needed(template)
    return {
        "can_start_without_user_input": not needed,
        **flags,
        "survey_enabled": template["survey_enabled"],
        "variables_needed_to_start": needed,
        "node_templates_missing": [],
        "node_prompts_rejected": [],
        "workflow_job_template_data": {name: template[name] for name in ("name", "id", "description")},
        "defaults": {
            "inventory": named,
            **{name: template[name] for name in ("limit", "scm_branch", "job_tags", "skip_tags", "extra_vars")},
        },
    }


def passwords_needed(world: World, template: Row) -> list[str]:
    """The passwords that the credentials of a template ask for at each launch."""
    return [
        "ssh_password" if name == "password" else str(name)
        for credential in world.store.linked(template, "credentials")
        for name, text in credential["inputs"].items()
        if text == "ASK"
    ]


def _credential(row: Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "name": row["name"],
        "credential_type": row["credential_type"],
        "passwords_needed": [name for name, text in row["inputs"].items() if text == "ASK"],
    }


def _variables(template: Row, variables: Mapping[str, Any], answers: Answers) -> None:
    """A survey takes its own variables, the flag takes all."""
    known = {question["variable"] for question in surveys.questions(template)}
    takes_all = template["ask_variables_on_launch"]
    taken = {name: one for name, one in variables.items() if takes_all or name in known}
    ignored = {name: one for name, one in variables.items() if name not in taken}
    answers.taken["extra_vars"] = taken
    if ignored:
        answers.ignored["extra_vars"] = ignored


def _checked(world: World, template: Row, name: str, given: Any) -> Any:
    if name in LISTS:
        return _ids(world, name, given)
    target = kinds()[template["_collection"]].fields[name]
    if target.to is not None and given is not None and world.store.get(target.to, _number(given)) is None:
        raise bad_field(name, f'Invalid pk "{given}" - object does not exist.')
    try:
        return value(world, target, given)
    except Reasons as error:
        raise bad_field(name, *error.reasons) from error


def _ids(world: World, name: str, given: Any) -> list[int]:
    if not isinstance(given, list):
        raise bad_field(name, f'Expected a list of items but got type "{type(given).__name__}".')
    ids = [_number(one) for one in cast(list[Any], given)]
    for id_ in ids:
        if world.store.get(LISTS[name], id_) is None:
            raise bad_field(name, f'Invalid pk "{id_}" - object does not exist.')
    return ids


def _number(given: Any) -> int:
    return int(given) if str(given).isdecimal() else -1
