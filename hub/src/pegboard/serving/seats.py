"""Seats: how many sessions each key has open, over all endpoints, so that no key takes those of all others."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass

from starlette.types import Scope

from pegboard.endpoint import PRINCIPAL
from pegboard.security.principal import Principal, id_of
from pegboard.serving.denials import Denials

Owner = tuple[str | None, str] | None


@dataclass(eq=False, slots=True)
class Seat:
    """One session: taken while the request that opened it runs, and then for as long as it is `kept`."""

    kept: Callable[[], bool] = lambda: False
    is_opening: bool = True

    @property
    def is_taken(self) -> bool:
        return self.is_opening or self.kept()


class Seats:
    """Counts the sessions of each key. Without a key nobody can be told from anybody else, and nothing is counted."""

    def __init__(self, denials: Denials) -> None:
        self._denials = denials
        self._seats: dict[Owner, list[Seat]] = {}

    @contextmanager
    def one(self, scope: Scope) -> Generator[Seat]:
        """A seat for whoever sends the request, while the block runs. Raises `TooMuch` when they have their share."""
        principal: Principal | None = scope.get(PRINCIPAL)
        taken = self._taken_by(id_of(principal))
        limit = self._denials.seat(scope, len(taken))
        if limit is not None:
            raise limit
        seat = Seat()
        if principal is not None:
            taken.append(seat)
        try:
            yield seat
        finally:
            seat.is_opening = False

    def _taken_by(self, owner: Owner) -> list[Seat]:
        if owner not in self._seats:  # somebody new: time to forget those who have left
            self._seats = {one: seats for one in self._seats if (seats := self._left_of(one))}
        self._seats[owner] = self._left_of(owner)
        return self._seats[owner]

    def _left_of(self, owner: Owner) -> list[Seat]:
        return [seat for seat in self._seats.get(owner, ()) if seat.is_taken]
