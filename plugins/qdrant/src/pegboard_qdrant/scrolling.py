"""Points one after the other, by id or by a payload value; nothing is held between pages."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

from pegboard import Reading, ToolError
from pegboard_qdrant import driver
from pegboard_qdrant.names import payload_path
from pegboard_qdrant.values import PointId

Direction = Literal["asc", "desc"]
Read = Callable[[dict[str, Any]], Awaitable[tuple[list[Any], Any]]]
"""Asks for one page with these arguments of `scroll`, and gives its records and where the next one begins."""

MAX_PAGE = 256
MAX_TIES = 20_000
"""So many points with one and the same value can be read on by order; their ids are remembered."""


@dataclass(frozen=True, slots=True)
class Order:
    """By which payload key, and which way."""

    key: str
    direction: Direction


@dataclass(frozen=True, slots=True)
class Browse:
    """What to list: which points, in which order, and what of them."""

    filter: Mapping[str, Any] | None
    order: Order | None
    fields: list[str] | None
    with_vectors: bool


def order(order_by: str | None) -> Order | None:
    """The order of `key`, ascending, or `-key`, descending."""
    if order_by is None:
        return None
    return Order(payload_path(order_by.removeprefix("-")), "desc" if order_by.startswith("-") else "asc")


@asynccontextmanager
async def points(
    read: Read, ordered: Order | None, query_filter: Any, total: int | None, show: Callable[[Any], Any]
) -> AsyncGenerator[Reading]:
    """A reading of the points the filter lets through, each as `show` makes it."""
    pages = _ById(read, query_filter) if ordered is None else _ByValue(read, query_filter, ordered)

    async def page(count: int) -> Sequence[Any]:
        return [show(record) for record in await pages.read(min(count, MAX_PAGE))]

    notice = None if ordered is None else f"points without {ordered.key!r} are left out"
    yield Reading(page, total=total, notice=notice)


class _ById:
    """Goes on at the id Qdrant named as the next one."""

    def __init__(self, read: Read, query_filter: Any) -> None:
        self._read = read
        self._filter = query_filter
        self._next: PointId | None = None
        self._ended = False

    async def read(self, count: int) -> list[Any]:
        if self._ended:
            return []
        records, self._next = await self._read({"scroll_filter": self._filter, "limit": count, "offset": self._next})
        self._ended = self._next is None
        return records


class _ByValue:
    """Goes on at the last value, without the points already read that have it."""

    def __init__(self, read: Read, query_filter: Any, order: Order) -> None:
        self._read = read
        self._filter = query_filter
        self._order = order
        self._last: Any = None
        self._ties: set[PointId] = set()

    async def read(self, count: int) -> list[Any]:
        models = driver.models()
        order_by = models.OrderBy(key=self._order.key, direction=self._order.direction, start_from=self._last)
        records, _ = await self._read({"scroll_filter": self._unread(), "limit": count, "order_by": order_by})
        for record in records:
            self._note(record)
        return records

    def _unread(self) -> Any:
        if not self._ties:
            return self._filter
        models = driver.models()
        read = models.HasIdCondition(has_id=sorted(self._ties, key=str))
        return models.Filter(must=[self._filter] if self._filter else None, must_not=[read])

    def _note(self, record: Any) -> None:
        if record.order_value != self._last:
            self._last, self._ties = record.order_value, set()
        self._ties.add(record.id)
        if len(self._ties) > MAX_TIES:
            raise ToolError(
                f"more than {MAX_TIES} points have the same {self._order.key!r}; narrow down with a filter, or leave "
                f"order_by out"
            )
