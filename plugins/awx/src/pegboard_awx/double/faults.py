"""Faults: what goes wrong on purpose, for one request or several, chosen by method and path."""

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal

Kind = Literal["status", "html", "truncate", "slow", "drop", "drop_after"]


@dataclass(slots=True)
class Fault:
    """What happens to the next `times` requests whose method and path below the prefix match.

    `status` answers with this status, as AWX would, with `retry_after` seconds if given; `html` with a web page of a
    proxy and the status; `truncate` breaks the answer off in the middle; `slow` waits `seconds` of real time before
    it; `drop` closes the connection before the request is looked at, and `drop_after` when it was carried out but
    before the answer.
    """

    kind: Kind
    method: str = "*"
    path: str = "*"
    times: int = 1
    status: int = 503
    retry_after: float | None = None
    seconds: float = 60.0

    def matches(self, method: str, path: str) -> bool:
        return self.times > 0 and self.method in ("*", method) and fnmatchcase(path, self.path)


@dataclass(frozen=True, slots=True)
class Seen:
    """A request that arrived, whatever became of it."""

    method: str
    path: str
    query: str
    body: object


@dataclass(slots=True)
class Faults:
    """The faults to come, and the requests that were."""

    planned: list[Fault] = field(default_factory=list[Fault])

    def add(self, fault: Fault) -> None:
        """Plan a fault."""
        self.planned.append(fault)

    def take(self, method: str, path: str) -> Fault | None:
        """The fault of this request, counted down; `None` mostly."""
        for fault in self.planned:
            if fault.matches(method, path):
                fault.times -= 1
                return fault
        return None
