"""Fields: what a request wants to write, checked and complained about as AWX does."""

from collections.abc import Callable, Mapping
from typing import Any, cast

from pegboard_awx.double.kinds import UNIFIED_MODELS, Field, Kind, Row, kinds
from pegboard_awx.double.refusals import bad, detail
from pegboard_awx.double.store import TABLES
from pegboard_awx.double.variables import parsed
from pegboard_awx.double.world import World

TRUE = frozenset({"true", "t", "1", "yes", "y", "on"})
FALSE = frozenset({"false", "f", "0", "no", "n", "off"})

UNIQUE: dict[str, tuple[tuple[str, ...], str]] = {
    "organizations": (("name",), "Organization with this Name already exists."),
    "users": (("username",), "A user with that username already exists."),
    "execution_environments": (("name",), "Execution environment with this Name already exists."),
    "instance_groups": (("name",), "Instance group with this Name already exists."),
    "credential_types": (("name", "kind"), "Credential type with this Name and Kind already exists."),
    "teams": (("organization", "name"), "Team with this Organization and Name already exists."),
    "labels": (("name", "organization"), "Label with this Name and Organization already exists."),
    "inventories": (("name", "organization"), "Inventory with this Name and Organization already exists."),
    "hosts": (("name", "inventory"), "Host with this Name and Inventory already exists."),
    "groups": (("name", "inventory"), "Group with this Name and Inventory already exists."),
    "notification_templates": (
        ("organization", "name"),
        "Notification template with this Organization and Name already exists.",
    ),
    "credentials": (
        ("organization", "name", "credential_type"),
        "Credential with this Organization, Name and Credential type already exists.",
    ),
    "schedules": (("unified_job_template", "name"), "Schedule with this Unified job template and Name already exists."),
    "workflow_job_template_nodes": (
        ("identifier", "workflow_job_template"),
        "Workflow job template node with this Identifier and Workflow job template already exists.",
    ),
    **{
        name: (("organization", "name"), f"{model} with this (organization, name) combination already exists.")
        for name, model in (
            ("projects", "Project"),
            ("job_templates", "JobTemplate"),
            ("workflow_job_templates", "WorkflowJobTemplate"),
            ("inventory_sources", "InventorySource"),
        )
    },
}
UNIQUE["inventory_sources"] = (("inventory", "name"), UNIQUE["inventory_sources"][1])


class Reasons(Exception):  # noqa: N818 # collected, then refused
    """Why one value is not accepted."""

    def __init__(self, *reasons: str) -> None:
        super().__init__(*reasons)
        self.reasons = list(reasons)


def read(
    world: World, kind: Kind, body: Mapping[str, Any], *, partial: bool = False, replacing: bool = False
) -> dict[str, Any]:
    """The values a body wants to write; refuses all that are wrong together, and ignores what is unknown."""
    values: dict[str, Any] = {}
    reasons: dict[str, list[str]] = {}
    for field in kind.fields.values():
        if not field.write:
            continue
        if field.name not in body:
            if field.required and not partial and not (replacing and field.type == "id"):
                reasons[field.name] = ["This field is required."]
            continue
        try:
            values[field.name] = value(world, field, body[field.name])
        except Reasons as error:
            reasons[field.name] = error.reasons
    if reasons:
        raise bad(reasons)
    return values


def value(world: World, field: Field, given: Any) -> Any:
    """One value as it is stored; raises `Reasons`, or refuses a bad reference at once as AWX does."""
    if field.choices is not None:
        return _choice(field, given)
    return READERS.get(field.type, _as_it_is)(world, field, given)


def check_unique(world: World, kind: Kind, values: Mapping[str, Any], but: Row | None = None) -> None:
    """Refuse a second object of the same name in the same place."""
    rule = UNIQUE.get(TABLES.get(kind.collection, kind.collection))
    if rule is None:
        return
    names, message = rule
    merged = {**(but or {}), **values}
    if merged.get(names[0]) is None and names[0] != "organization":
        return
    wanted = {name: merged.get(name) for name in names}
    if any(row is not but for row in world.store.where(kind.collection, **wanted)):
        raise bad({names[0] if len(names) == 1 else "__all__": [message]})


def model_of(collection: str) -> str:
    """How AWX's messages call what a collection holds."""
    return UNIFIED_MODELS.get(collection) or kinds()[collection].model


def _choice(field: Field, given: Any) -> Any:
    choices = field.choices or ()
    if given in choices and type(given) is not bool:
        return given
    if given is None and field.default is None:
        return None
    raise Reasons(f'"{given}" is not a valid choice.')


def _string(world: World, field: Field, given: Any) -> Any:  # noqa: ARG001 # the shape of all
    if given is None and field.default is None:
        return None
    if isinstance(given, bool) or not isinstance(given, str | int | float):
        raise Reasons("Not a valid string.")
    text = str(given)
    if field.required and not text.strip():
        raise Reasons("This field may not be blank.")
    if field.max is not None and len(text) > field.max:
        raise Reasons(f"Ensure this field has no more than {field.max} characters.")
    return text


def _boolean(world: World, field: Field, given: Any) -> Any:  # noqa: ARG001
    if given is None and field.default is None:
        return None
    text = str(given).lower()
    if text in TRUE | FALSE:
        return text in TRUE
    raise Reasons("Must be a valid boolean.")


def _integer(world: World, field: Field, given: Any) -> Any:  # noqa: ARG001
    if given is None and field.default is None:
        return None
    try:
        return int(str(given))
    except ValueError as error:
        raise Reasons("A valid integer is required.") from error


def _object(world: World, field: Field, given: Any) -> Any:  # noqa: ARG001
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise Reasons(f'Expected a dictionary of items but got type "{type(given).__name__}".')
    return cast(dict[str, Any], given)


def _variables(world: World, field: Field, given: Any) -> Any:  # noqa: ARG001
    if not isinstance(given, str):
        raise Reasons("Not a valid string.")
    parsed(field.name, given)
    return given


def _id(world: World, field: Field, given: Any) -> Any:
    if given is None or given == "":
        if field.required:
            raise Reasons("This field may not be null.")
        return None
    try:
        id_ = int(str(given))
    except ValueError as error:
        raise detail(400, f"Bad data found in related field {field.name}.") from error
    collection = field.to or f"{field.name}s"
    if world.store.get(collection, id_) is None:
        raise detail(400, f"{model_of(collection)} matching query does not exist.")
    return id_


def _as_it_is(world: World, field: Field, given: Any) -> Any:  # noqa: ARG001
    return given


READERS: dict[str, Callable[[World, Field, Any], Any]] = {
    "string": _string,
    "boolean": _boolean,
    "integer": _integer,
    "object": _object,
    "variables": _variables,
    "json": _variables,
    "id": _id,
}
