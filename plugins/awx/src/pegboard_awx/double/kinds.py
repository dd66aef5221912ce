"""Kinds: what AWX's resources look like, read from tables distilled from a real one."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

Row = dict[str, Any]
"""One object: its fields, and what is never shown under names that begin with `_`."""

UNIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "unified_job_templates": (
            "job_templates",
            "projects",
            "inventory_sources",
            "workflow_job_templates",
            "system_job_templates",
            "workflow_approval_templates",
        ),
        "unified_jobs": (
            "jobs",
            "workflow_jobs",
            "project_updates",
            "inventory_updates",
            "ad_hoc_commands",
            "system_jobs",
            "workflow_approvals",
        ),
    }
)
"""Collections that are several in one, with one sequence of ids."""

UNIFIED_MODELS = MappingProxyType({"unified_job_templates": "UnifiedJobTemplate", "unified_jobs": "UnifiedJob"})


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its type, where it leads, who writes it, and what it is at first."""

    name: str
    type: str
    to: str | None = None
    write: bool = False
    required: bool = False
    max: int | None = None
    choices: tuple[Any, ...] | None = None
    default: Any = None
    detail: bool = False
    """Only shown in answers about one object."""
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of resource; `collection` is its list below the prefix."""

    collection: str
    model: str
    type: str
    fields: Mapping[str, Field]
    related: tuple[str, ...] = ()
    can: tuple[str, ...] = ()
    roles: Mapping[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])
    stamps: tuple[str, ...] = ()
    by: bool = False
    """Whether it shows who made it."""

    @property
    def words(self) -> str:
        """The type as words: "job template"."""
        return self.type.replace("_", " ")


@cache
def kinds() -> Mapping[str, Kind]:
    """All kinds, by collection."""
    folder = files("pegboard_awx.double") / "kinds"
    tables = {path.name.removesuffix(".json"): json.loads(path.read_text()) for path in folder.iterdir()}
    return MappingProxyType({name: _kind(name, table) for name, table in sorted(tables.items())})


@cache
def by_type() -> Mapping[str, Kind]:
    """All kinds by type: "job_template"."""
    return MappingProxyType({kind.type: kind for kind in kinds().values()})


def data(name: str) -> Any:
    """One of the data files."""
    return json.loads((files("pegboard_awx.double") / "data" / f"{name}.json").read_text())


def _kind(collection: str, table: dict[str, Any]) -> Kind:
    fields = {name: _field(name, one) for name, one in table["fields"].items()}
    return Kind(
        collection=collection,
        model=table["model"],
        type=table["type"],
        fields=MappingProxyType(fields),
        related=tuple(table["related"]),
        can=tuple(table["can"]),
        roles=MappingProxyType({name: (one[0], one[1]) for name, one in table.get("roles", {}).items()}),
        stamps=tuple(table["stamps"]),
        by=table["by"],
    )


def _field(name: str, table: dict[str, Any]) -> Field:
    choices = table.pop("choices", None)
    return Field(name=name, choices=None if choices is None else tuple(choices), **table)
