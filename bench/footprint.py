"""What `pegboard serve` costs before anybody calls: seconds until it is ready, and memory while it idles."""

import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from bench.processes import free_port, running

SETTLE = 1.0
ENVIRONMENT = {
    "PEGBOARD_LOG_LEVEL": "warning",
    "PEGBOARD_POSTGRES_DSN": "postgresql://127.0.0.1:9/none",
    "PEGBOARD_QDRANT_URL": "http://127.0.0.1:9",
    "PEGBOARD_NEO4J_URL": "bolt://127.0.0.1:9",
}
"""All three databases, which nobody has started: a pool is opened by the first call, so it costs nothing."""


@dataclass(frozen=True, slots=True)
class Footprint:
    ready: float
    """Seconds from the start of the process until `/ready` says so."""
    rss: float
    """Resident MB a second later."""


def footprint(rounds: int) -> Footprint:
    """The medians of some starts, on all cores, as a user would see them."""
    starts = [started() for _ in range(rounds)]
    return Footprint(median(s.ready for s in starts), median(s.rss for s in starts))


def started() -> Footprint:
    port = free_port()
    begin = time.perf_counter()
    with running(["-m", "pegboard.cli", "serve", "--port", str(port)], answering(port), ENVIRONMENT) as process:
        ready = time.perf_counter() - begin
        time.sleep(SETTLE)
        return Footprint(ready, process.memory_info().rss / 1e6)


def answering(port: int) -> Callable[[], bool]:
    def ready() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=1) as response:
                return response.status == 200
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    return ready
