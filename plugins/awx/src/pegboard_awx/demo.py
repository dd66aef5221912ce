"""The demo: an AWX in memory with two weeks of a small company's automation, for `pegboard demo`."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pegboard_awx.double import Double, serving
from pegboard_awx.double.seed import TOKEN

ABOUT = "Alpenkraft, a fictional company that sells mountain gear: 20 servers and two weeks of jobs. No real AWX runs."
QUESTIONS = [
    "Why does the nightly backup fail, since when, and on which host?",
    "Launch the template Hello, wait for it, and show me what it printed.",
    "Which hosts could not be reached by the last patch day, and what is scheduled for the next?",
]


@asynccontextmanager
async def demo(folder: Path, say: Callable[[str], None]) -> AsyncGenerator[dict[str, Any]]:  # noqa: ARG001 # nothing is kept, nothing is slow
    """Run the company's AWX; leaving stops and forgets it.

    Yields the `settings` of the plugin, a line `about` it, and three `questions` worth asking.
    """
    async with serving(Double()) as url:
        yield {"settings": {"url": url, "token": TOKEN, "writes": "allow"}, "about": ABOUT, "questions": QUESTIONS}
