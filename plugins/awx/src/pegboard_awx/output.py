"""Output: lines of what a job has printed, read as a stream, so that its length costs time but no memory."""

import codecs
import re
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Literal

from pegboard_awx.api import Api
from pegboard_awx.failures import AwxError
from pegboard_awx.runs import Run

Mode = Literal["tail", "head", "range", "errors"]

ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07]*\x07|[\r\x00-\x08\x0b-\x1f]")
STARS = re.compile(r"\*{4,}$")
"""Ansible fills its headings with stars up to the edge of a terminal; nobody reads them."""
LONGEST_LINE = 2000
MAX_CHARS = 12_000
ERRORS = 200
"""Events that mode "errors" reads at most."""


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Some lines of an output, numbered from 1; `total` is known where the output was read to its end."""

    text: str
    first: int
    last: int
    total: int | None
    is_cut: bool


async def tail(api: Api, run: Run, lines: int, most: int = MAX_CHARS) -> Excerpt:
    """The last lines."""
    kept: deque[str] = deque(maxlen=lines)
    count = 0
    async for line in read(api, run):
        kept.append(line)
        count += 1
    fitting = _ending(list(kept), most)
    return Excerpt("\n".join(fitting), count - len(fitting) + 1 if count else 0, count, count, len(fitting) < count)


async def part(api: Api, run: Run, start: int, lines: int, most: int = MAX_CHARS) -> Excerpt:
    """Some lines from `start` on; what follows is not read."""
    kept: list[str] = []
    number, size, goes_on = 0, 0, False
    async with aclosing(read(api, run)) as output:
        async for line in output:
            number += 1
            if number < start:
                continue
            size += len(line) + 1
            goes_on = len(kept) == lines or size > most
            if goes_on:
                break
            kept.append(line)
    total = None if goes_on else number
    last = start + len(kept) - 1 if kept else 0
    return Excerpt("\n".join(kept), start if kept else 0, last, total, goes_on or start > 1)


async def errors(api: Api, run: Run, lines: int, most: int = MAX_CHARS) -> Excerpt:
    """What hosts that failed or could not be reached have printed, by their events; AWX cuts each at 1 kB."""
    if run.kind.events is None:
        return Excerpt("", 0, 0, None, is_cut=False)
    params = {"failed": True, "event__startswith": "runner_on", "order_by": "counter"}
    failed = [event async for event in api.all(*run.path, run.kind.events, params=params, most=ERRORS)]
    texts = [f"TASK [{event['task']}]\n{clean(event['stdout'])}" for event in failed if event["stdout"]]
    found = "\n".join(texts).split("\n")
    fitting = _beginning(found[:lines], most)
    first, last = (failed[0]["start_line"] + 1, failed[-1]["end_line"]) if texts else (0, 0)
    return Excerpt("\n".join(fitting), first, last, None, is_cut=len(fitting) < len(found))


async def read(api: Api, run: Run) -> AsyncGenerator[str]:
    """The lines of the output so far, clean; very long ones are cut.

    As a download, since that is the only form AWX gives when there is more than 1 MiB of it.
    """
    if run.kind.events is None:
        raise AwxError("validation", f"{run} has no output of its own", hint=f"awx_get_workflow_job(job_id={run.id})")
    try:
        async with api.chunks(*run.path, "stdout", params={"format": "txt_download"}) as chunks:
            async for line in _lines(chunks):
                yield clean(line)
    except AwxError as error:
        if error.kind != "timeout":
            raise
        hint = "it is long; mode=errors and awx_list_job_events read less"
        raise AwxError("timeout", f"the output of {run} did not arrive in time", hint=hint) from error


def clean(text: str) -> str:
    """A text without colors, other control characters, and stars that fill a line."""
    return "\n".join(STARS.sub("***", line) for line in ANSI.sub("", text).split("\n"))


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    rest, dropped = "", 0
    async for chunk in chunks:
        *whole, last = decoder.decode(chunk).split("\n")
        for line in whole:
            yield _bounded(rest + line, dropped)
            rest, dropped = "", 0
        rest += last
        rest, dropped = rest[: 2 * LONGEST_LINE], dropped + max(0, len(rest) - 2 * LONGEST_LINE)
    if rest:
        yield _bounded(rest, dropped)


def _bounded(line: str, dropped: int) -> str:
    more = len(line) + dropped - LONGEST_LINE
    return line if more <= 0 else f"{line[:LONGEST_LINE]}…(+{more} chars)"


def _beginning(lines: list[str], most: int) -> list[str]:
    """As many lines as fit, and at least a part of one."""
    size = 0
    for number, line in enumerate(lines):
        size += len(line) + 1
        if size > most:
            return lines[:number] or [line[:most]]
    return lines


def _ending(lines: list[str], most: int) -> list[str]:
    return _beginning(lines[::-1], most)[::-1]
