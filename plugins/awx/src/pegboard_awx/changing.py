"""Changing: only what differs is sent, and told; variables are merged into the text that AWX keeps."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from typing_extensions import TypedDict

from pegboard_awx.api import Api, Object
from pegboard_awx.failures import AwxError
from pegboard_awx.shapes import HIDDEN, mapping, parsed, sequence

BLANK = frozenset({"", "---", "{}", "--- {}", "null"})
"""Texts of variables that say nothing."""
COMMENT = re.compile(r"(^|\s)#", re.MULTILINE)


class Changed(TypedDict, total=False):
    """Which fields of a thing were changed; none where all was so already."""

    id: int
    name: str
    changed: list[str]
    warnings: list[str]


@dataclass(frozen=True, slots=True)
class Variables:
    """New variables of a thing, to be put over the old ones or in their place."""

    values: Mapping[str, Any]
    merge: bool = True

    @classmethod
    def of(cls, values: Mapping[str, Any] | None, *, merge: bool = True) -> "Variables | None":
        """The same where values were given."""
        return None if values is None else cls(values, merge)

    def over(self, text: str) -> dict[str, Any]:
        """The variables as they shall be. What a caller was shown as hidden stays as it is."""
        old = parsed(text)
        if self.merge and not old and text.strip() not in BLANK:
            raise AwxError(
                "validation",
                "the variables that are there cannot be read as an object, so nothing can be merged into them",
                hint="merge_variables=false replaces them all",
            )
        new = {name: unhidden(value, old.get(name), name) for name, value in self.values.items()}
        return {**old, **new} if self.merge else new


@dataclass(frozen=True, slots=True)
class Unseen:
    """A value that AWX never shows, since it is secret: sent whatever is there, and told as changed.

    `names` are what is told, where that is not the field itself.
    """

    value: Any
    names: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """What came of it: the thing as it is now, and what to tell."""

    after: Object
    told: Changed


async def change(api: Api, collection: str, id: int, wanted: Mapping[str, Any]) -> Change:  # noqa: A002 # AWX's word
    """Give fields of one thing the values that are wanted; `None` is left as it is.

    Nothing is sent when all is so already. `Variables` are written in the form that the field has, JSON or YAML.
    """
    before: Object = await api.get(collection, id)
    steps = {name: _step(name, value, before.get(name)) for name, value in wanted.items() if value is not None}
    needed = {name: step for name, step in steps.items() if step is not None}
    body = {name: step.value for name, step in needed.items()}
    after: Object = await api.patch(collection, id, json=body) if body else before
    ignored = [name for name, step in needed.items() if step.shows and after.get(name) == before.get(name)]
    changed = [one for name, step in needed.items() if name not in ignored for one in step.names]
    warnings = [one for step in needed.values() for one in step.warnings]
    warnings += [f"AWX did not change {name}" for name in ignored]
    told: Changed = {"id": id, "name": after.get("name", ""), "changed": changed}
    return Change(after, {**told, "warnings": warnings} if warnings else told)


def written(values: Mapping[str, Any] | None, like: str = "") -> str | None:
    """Variables as the text AWX wants, which takes no objects: JSON, or YAML where they are YAML now."""
    if values is None:
        return None
    if like.strip() in BLANK or _is_json(like):
        return json.dumps(values, ensure_ascii=False, default=str)
    import yaml  # most variables are JSON

    return yaml.safe_dump(dict(values), allow_unicode=True, sort_keys=False)


def unhidden(value: Any, old: Any, name: str) -> Any:
    """A value with the secrets back in that a caller was not shown; raises `AwxError` where there is none."""
    if value == HIDDEN:
        if old in (None, HIDDEN):
            raise AwxError("validation", f"{name} is {HIDDEN} and there is no such value yet", hint="give the value")
        return old
    if isinstance(value, dict):
        known = mapping(old)
        return {key: unhidden(one, known.get(key), f"{name}.{key}") for key, one in mapping(value).items()}
    if isinstance(value, list):
        there = dict(enumerate(sequence(old)))
        return [unhidden(one, there.get(index), f"{name}.{index}") for index, one in enumerate(sequence(value))]
    return value


@dataclass(frozen=True, slots=True)
class _Step:
    """What is sent for one field, and how it is told; whether AWX shows the value afterwards."""

    value: Any
    names: Sequence[str]
    warnings: Sequence[str] = ()
    shows: bool = True


def _step(name: str, wanted: Any, now: Any) -> _Step | None:
    """What there is to do about a field; `None` when it has the value."""
    if isinstance(wanted, Variables):
        return _merged(name, wanted, now or "")
    if isinstance(wanted, Unseen):
        return _Step(wanted.value, wanted.names or [name], shows=False)
    return None if wanted == now else _Step(wanted, [name])


def _merged(name: str, wanted: Variables, text: str) -> _Step | None:
    new, old = wanted.over(text), parsed(text)
    is_readable = bool(old) or text.strip() in BLANK
    if new == old and is_readable:
        return None
    differing = [key for key in {**old, **new} if old.get(key, ...) != new.get(key, ...)]
    return _Step(written(new, text), [f"{name}.{key}" for key in differing] or [name], _comments(name, text))


def _comments(name: str, text: str) -> list[str]:
    if _is_json(text) or not COMMENT.search(text):
        return []
    return [f"the comments in {name} are gone; AWX keeps text, and only values can be merged"]


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
