"""Turns: two or more ways of asking for the same, one after the other, so that a busy machine hurts all alike."""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from statistics import median

Ask = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Beside:
    """The median seconds of one question, by the plugin and by its driver alone."""

    title: str
    plugin: float
    driver: float

    def __str__(self) -> str:
        ratio = self.plugin / self.driver
        return f"{self.title:40}{self.plugin * 1e3:9.2f} ms{self.driver * 1e3:9.2f} ms{ratio:8.2f}x"


HEAD = f"{'':40}{'the plugin':>12}{'the driver':>12}{'ratio':>9}"


async def turns(asks: Sequence[Ask], rounds: int, warm_up: int) -> list[float]:
    """The median seconds of each, after some rounds to warm up."""
    seconds: list[list[float]] = [[] for _ in asks]
    for number in range(rounds + warm_up):
        for ask, spent in zip(asks, seconds, strict=True):
            began = time.perf_counter()
            await ask()
            if number >= warm_up:
                spent.append(time.perf_counter() - began)
    return [median(spent) for spent in seconds]
