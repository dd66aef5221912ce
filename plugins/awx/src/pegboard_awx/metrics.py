"""Metrics: the numbers of AWX about itself, a few families at a time, each in as few words as it takes."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any

from pegboard_awx.api import Object
from pegboard_awx.shapes import mapping, sequence

USUAL = (
    "awx_*_total",
    "awx_instance_capacity",
    "awx_instance_consumed_capacity",
    "awx_license_instance_free",
    "callback_receiver_events_queue_size_redis",
    "dispatcher_availability",
    "task_manager_tasks_blocked",
)
"""The families most questions are about."""
MOST_FAMILIES = 40
MOST_SAMPLES = 12
NEAR = 3
CONSTANT = frozenset({"instance_uuid", "node_type"})
"""Labels that say nothing beside the name of a node."""


def families(told: Mapping[str, Any], names: Sequence[str]) -> tuple[dict[str, Any], int]:
    """The families of these names or patterns, summed up, and how many more there are that are left out."""
    found = [name for name in told if any(fnmatchcase(name, one) for one in names)]
    summed = {name: _summed(name, mapping(told[name])) for name in found[:MOST_FAMILIES]}
    return summed, len(found) - len(summed)


def unknown(told: Mapping[str, Any], names: Sequence[str]) -> dict[str, list[str]]:
    """The names that no family has, each with some that are near."""
    missing = [one for one in names if not any(fnmatchcase(name, one) for name in told)]
    return {one: _near(one, told) for one in missing}


def _near(name: str, told: Mapping[str, Any]) -> list[str]:
    with_word = [one for one in told if name.strip("*").lower() in one]
    return with_word[:NEAR] or get_close_matches(name, told, n=NEAR, cutoff=0.5)


def _summed(name: str, family: Object) -> Any:
    """One number, or numbers by what tells them apart; the largest of many, and how many more there are."""
    samples = [mapping(one) for one in sequence(family.get("samples"))]
    if family.get("type") == "histogram":
        samples = [one for one in samples if one.get("sample_type") != "bucket"]
    if len(samples) == 1 and name.endswith("_info"):  # its labels are what it says
        return {label: text for label, text in mapping(samples[0]["labels"]).items() if not label.endswith("_uuid")}
    if len(samples) == 1:
        return _number(samples[0]["value"])
    apart = _apart(samples)
    largest = sorted(samples, key=lambda one: -one["value"])[:MOST_SAMPLES]
    told = {_words(one, apart): _number(one["value"]) for one in largest}
    return {**told, "more": len(samples) - MOST_SAMPLES} if len(samples) > MOST_SAMPLES else told


def _apart(samples: Sequence[Object]) -> list[str]:
    """The labels in which some samples differ."""
    names = dict.fromkeys(name for one in samples for name in mapping(one["labels"]) if name not in CONSTANT)
    return [name for name in names if len({mapping(one["labels"]).get(name) for one in samples}) > 1]


def _words(sample: Object, apart: Sequence[str]) -> str:
    labels = mapping(sample["labels"])
    words = [str(labels[name]) for name in apart if name in labels]
    return " ".join([*words, *([sample["sample_type"]] if "sample_type" in sample else [])]) or "value"


def _number(value: float) -> float | int:
    return int(value) if float(value).is_integer() else round(value, 4)
