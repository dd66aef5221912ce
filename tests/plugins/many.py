"""A plugin of as many tools as a test wants, with the names, words and parameters that real ones have."""

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Any, Literal

from pydantic import Field

from pegboard import Group, Plugin, tool
from pegboard.plugin import Function

_NOUNS = """
job job_template workflow schedule inventory host host_group credential project organization team user role label token
notification execution_environment instance metric alert dashboard volume snapshot backup database table index query
certificate secret pipeline build artifact release branch repository issue comment ticket invoice
"""
KINDS = _NOUNS.split()
QUALIFIERS = (
    "",
    "archived",
    "shared",
    "regional",
    "draft",
    "nightly",
    "external",
    "legacy",
    "pinned",
    "failed",
    "test",
)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a made-up tool; one without a default is required."""

    name: str
    type: Any
    description: str
    default: Any = inspect.Parameter.empty

    def declared(self) -> inspect.Parameter:
        annotation = Annotated[self.type, Field(description=self.description)]
        return inspect.Parameter(self.name, inspect.Parameter.KEYWORD_ONLY, default=self.default, annotation=annotation)


@dataclass(frozen=True, slots=True)
class Verb:
    """What made-up tools do with every kind of thing."""

    name: str
    does: str
    parameters: tuple[Parameter, ...]
    read_only: bool = False
    priority: int = 0


LIMIT = Parameter("limit", int, "How many to return at most.", 50)
CURSOR = Parameter("cursor", str | None, "Where the last page ended.", None)
ORDER = Parameter("order", Literal["newest", "oldest", "name"], "What comes first.", "newest")
ID = Parameter("id", int | str, "Its id, or its name when that is unique.")
NAME = Parameter("name", str, "The name that people will see, unique in its organization.")
OWNER = Parameter("owner", str | None, "Who answers for it; you, when left out.", None)
LABELS = Parameter("labels", list[str], "Labels it carries, in any order.", None)
REASON = Parameter("reason", str | None, "Why, for the audit log.", None)
FORCE = Parameter("force", bool, "Do it although it is in use.", False)
WAIT = Parameter("wait_seconds", float, "How long to wait until it is done; 0 returns at once.", 0.0)
FORMAT = Parameter("format", Literal["csv", "json", "parquet"], "The format of the file.", "csv")
TEXT = Parameter("text", str, "Words that stand in its name or description.")

VERBS = (
    Verb("list", "List all {}", (OWNER, LABELS, ORDER, LIMIT, CURSOR), read_only=True, priority=2),
    Verb("get", "Show everything about one of the {}", (ID, OWNER, FORMAT), read_only=True, priority=2),
    Verb("create", "Create one more of the {}", (NAME, OWNER, LABELS, REASON), priority=1),
    Verb("delete", "Delete one of the {} for good", (ID, FORCE, REASON, WAIT)),
    Verb("search", "Find {} by words", (TEXT, LABELS, ORDER, LIMIT, CURSOR), read_only=True),
    Verb("update", "Change one of the {}", (ID, NAME, OWNER, LABELS, REASON, FORCE)),
    Verb("restart", "Stop and start one of the {} again", (ID, WAIT, REASON), priority=1),
    Verb("export", "Write all {} into a file", (FORMAT, LABELS, LIMIT), read_only=True, priority=-1),
)
MORE = (
    "",
    " Answers with at most 50 rows and says when there are more.",
    " Needs the right to read them. Names are compared in any case, and an id always wins over a name.",
)


def many(count: int, name: str = "many") -> Plugin:
    """A plugin of `count` tools in groups of 5 to 8; every one answers with its own arguments."""
    functions, groups = islice(_functions(), count), list[Group]()
    for number, kind in enumerate(_kinds()):
        members = list(islice(functions, 5 + number * 3 % 4))
        if not members:
            break
        groups.append(Group(kind, title=f"About {kind}", tools=members))
    return Plugin(name=name, groups=groups, instructions="Ids are numbers.")


def _kinds() -> Iterator[str]:
    for qualifier in QUALIFIERS:
        yield from (f"{qualifier}_{_plural(kind)}".lstrip("_") for kind in KINDS)


def _plural(kind: str) -> str:
    return f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}es" if kind.endswith("x") else f"{kind}s"


def _functions() -> Iterator[Function]:
    for number, kind in enumerate(_kinds()):
        yield from (_function(verb, kind, number + place) for place, verb in enumerate(VERBS[: 5 + number * 3 % 4]))


def _function(verb: Verb, kind: str, number: int) -> Function:
    async def answer(**arguments: Any) -> dict[str, Any]:
        return arguments

    parameters = [parameter.declared() for parameter in verb.parameters]
    answer.__name__ = f"{verb.name}_{kind}"
    answer.__doc__ = f"{verb.does.format(kind.replace('_', ' '))}.{MORE[number % len(MORE)]}"
    answer.__annotations__ = {p.name: p.annotation for p in parameters} | {"return": dict[str, Any]}
    vars(answer)["__signature__"] = inspect.Signature(parameters, return_annotation=dict[str, Any])
    return tool(read_only=verb.read_only, priority=verb.priority)(answer)
