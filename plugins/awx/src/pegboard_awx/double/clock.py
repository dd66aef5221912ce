"""The time of the double: real, faster than real, or driven by a test."""

import time
from datetime import UTC, datetime, timedelta


class Clock:
    """Tells the time. `speed` is how many of its seconds pass in a real one; at 0 only `advance` moves it."""

    def __init__(self, start: datetime | None = None, speed: float = 1.0) -> None:
        self._base = start or datetime.now(UTC)
        self._since = time.monotonic()
        self._speed = speed

    def now(self) -> datetime:
        """The moment it is."""
        return self._base + timedelta(seconds=(time.monotonic() - self._since) * self._speed)

    def advance(self, seconds: float) -> None:
        """Let some seconds pass at once."""
        self._base += timedelta(seconds=seconds)

    def run(self, speed: float) -> None:
        """Go on from now at another speed."""
        self._base, self._since, self._speed = self.now(), time.monotonic(), speed


def stamp(moment: datetime) -> str:
    """A moment as AWX writes it."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
