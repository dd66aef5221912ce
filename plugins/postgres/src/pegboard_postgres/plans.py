"""A plan as PostgreSQL gives it in JSON, read into nodes that know where they stand, and shown in few words."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NotRequired

from typing_extensions import TypedDict

MAX_CONDITION = 300

CONDITIONS = ("Index Cond", "Recheck Cond", "Hash Cond", "Merge Cond", "Join Filter", "Filter", "TID Cond")
DETAILS = ("Sort Key", "Group Key", "Function Call", "Subplan Name")

LEADER_SHARE = 0.3
"""How much less the leader of a parallel plan scans for every worker it serves, as the planner counts it."""


class Step(TypedDict):
    """One node of the plan, `depth` levels below the top; rows and milliseconds are of all its loops together."""

    depth: int
    node: str
    on: NotRequired[str]
    using: NotRequired[str]
    rows: int
    actual_rows: NotRequired[int]
    loops: NotRequired[int]
    cost: float
    ms: NotRequired[float]
    where: NotRequired[str]


@dataclass(frozen=True)
class Node:
    """One node of a plan."""

    raw: Mapping[str, Any]
    depth: int = 0
    planned_workers: int = 0
    """How many workers share what is parallel here, as planned."""
    processes: int = 1
    """How many processes ran it, the leader too."""
    stopped_early: bool = False
    """Whether a node above may stop before this one has given all its rows."""

    @cached_property
    def children(self) -> tuple["Node", ...]:
        """The nodes below; of a join, the outer one first."""
        stopped = self.stopped_early or self.kind in ("Limit", "Merge Join") or self.raw.get("Join Type") == "Semi"
        planned = self.raw.get("Workers Planned", self.planned_workers)
        processes = self.raw["Workers Launched"] + 1 if "Workers Launched" in self.raw else self.processes
        return tuple(Node(plan, self.depth + 1, planned, processes, stopped) for plan in self.raw.get("Plans", ()))

    def walk(self) -> Iterator["Node"]:
        """This node and all below, from the top."""
        yield self
        for child in self.children:
            yield from child.walk()

    @property
    def kind(self) -> str:
        """What the node does, `Seq Scan` say."""
        return self.raw["Node Type"]

    @property
    def name(self) -> str:
        """What it does, with the words that make a difference."""
        strategy = self.raw.get("Strategy", "Plain")
        join = self.raw.get("Join Type", "Inner")
        words = [
            "Parallel" if self.raw.get("Parallel Aware") else "",
            strategy if self.kind == "Aggregate" and strategy != "Plain" else "",
            join if join != "Inner" else "",
            self.raw.get("Operation", "") if self.kind == "ModifyTable" else "",
            self.kind if self.kind != "ModifyTable" else "",
        ]
        return " ".join(word for word in words if word)

    @property
    def relation(self) -> tuple[str, str] | None:
        """Schema and name of the table it scans."""
        name = self.raw.get("Relation Name")
        return None if name is None else (self.raw.get("Schema", ""), name)

    @property
    def alias(self) -> str:
        """What its columns are qualified with."""
        return self.raw.get("Alias", "")

    @property
    def on(self) -> str | None:
        """The table, function or CTE it reads, and its alias if that is another."""
        name = next((self.raw[key] for key in ("Relation Name", "CTE Name", "Function Name") if key in self.raw), None)
        return f"{name} {self.alias}" if name and self.alias not in ("", name) else name

    @property
    def rows(self) -> float:
        """The rows one loop was estimated to give, in all processes together."""
        return self.raw["Plan Rows"] * (_share(self.planned_workers) if self.is_partial else 1)

    @property
    def is_partial(self) -> bool:
        """Whether every process does a part of it, and not all of it."""
        return bool(self.raw.get("Parallel Aware")) or any(child.is_partial for child in self.children[:1])

    @property
    def loops(self) -> int:
        """How often it ran; 0 without analyze or if it never did. The processes of a parallel plan are one loop."""
        loops = self.raw.get("Actual Loops", 0)
        return round(max(1.0, loops / self.processes)) if loops else 0

    @property
    def actual(self) -> float | None:
        """The rows all loops gave, or `None` if it was not run."""
        loops = self.raw.get("Actual Loops")
        return self.raw["Actual Rows"] * loops if loops else None

    @property
    def removed(self) -> float:
        """The rows its filter threw away in all loops."""
        return self.raw.get("Rows Removed by Filter", 0) * self.raw.get("Actual Loops", 0)

    @property
    def ms(self) -> float | None:
        """Milliseconds in it and below it; of a parallel node, those of the average process."""
        time = self.raw.get("Actual Total Time")
        return None if time is None else time * self.loops

    @property
    def conditions(self) -> list[str]:
        """Its conditions as PostgreSQL writes them."""
        return [self.raw[key] for key in CONDITIONS if key in self.raw]

    def step(self) -> Step:
        """The node in few words."""
        step: Step = {"depth": self.depth, "node": self.name, "rows": round(self.rows), "cost": self.raw["Total Cost"]}
        if self.on:
            step["on"] = self.on
        if index := self.raw.get("Index Name"):
            step["using"] = index
        if self.actual is not None:
            step["actual_rows"], step["loops"] = round(self.actual), self.loops
        if self.ms is not None:
            step["ms"] = round(self.ms, 2)
        if words := "; ".join([*self.conditions, *self._details()]):
            step["where"] = words[:MAX_CONDITION] + "…" * (len(words) > MAX_CONDITION)
        return step

    def _details(self) -> Iterator[str]:
        for key in DETAILS:
            value: list[str] | str | None = self.raw.get(key)
            if value:
                yield f"{key.lower()}: {value if isinstance(value, str) else ', '.join(value)}"


def _share(workers: int) -> float:
    """Among how many the planner divides the rows of a parallel scan."""
    return 1.0 if workers == 0 else workers + max(0.0, 1 - LEADER_SHARE * workers)
