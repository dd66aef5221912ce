"""Output of jobs: any part of it, clean, and never more memory than the part."""

import tracemalloc
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.plugins.awx.asking import asking, size
from tests.plugins.awx.conftest import reaching
from tests.plugins.awx.test_double_program import program

from pegboard_awx.api import Api
from pegboard_awx.double import Double, Fault
from pegboard_awx.groups.core import GROUP
from pegboard_awx.output import LONGEST_LINE, clean, errors, part, tail
from pegboard_awx.runs import Run

BIG = 32
"""The job "Fleet report", whose output has 3 MB."""
PATCH = 29


@dataclass(frozen=True, slots=True)
class Printed:
    """Stands for a way to AWX; its only answer is an output, in pieces."""

    pieces: Sequence[bytes]

    @asynccontextmanager
    async def chunks(self, *path: Any, params: Any) -> AsyncGenerator[AsyncIterator[bytes]]:
        assert path[-1] == "stdout"
        assert params == {"format": "txt_download"}

        async def iterate() -> AsyncIterator[bytes]:
            for piece in self.pieces:
                yield piece

        yield iterate()


def printed(text: str, step: int = 7) -> Api:
    data = text.encode()
    return cast(Api, Printed([data[at : at + step] for at in range(0, len(data), step)]))


async def test_more_than_a_mebibyte_is_read_although_awx_shows_none_of_it(url: str, double: Double, api: Api) -> None:
    shown = await api.text("jobs", BIG, "stdout", params={"format": "txt"})
    async with asking(url, GROUP) as ask:
        end = await ask("get_job_output", job_id=BIG, lines=8)
        middle = await ask("get_job_output", job_id=BIG, mode="range", start_line=1500, lines=3)
        start = await ask("get_job_output", job_id=BIG, mode="head", lines=3)

    assert shown.startswith("Standard Output too large to display")
    assert "PLAY RECAP ***" in end["text"]
    assert end["total_lines"] == end["last_line"] == 3011
    assert (middle["first_line"], middle["last_line"]) == (1500, 1502)
    assert middle["next"] == f"awx_get_job_output(job_id={BIG}, mode='range', start_line=1503)"
    assert start["text"].strip() == "PLAY [Report on the fleet] ***"
    assert {seen.query for seen in double.seen("GET", "/stdout/")} == {"format=txt", "format=txt_download"}
    assert all(size(answer) < 4000 for answer in (end, middle, start))


async def test_three_megabytes_of_output_cost_little_memory() -> None:
    with program("--speed", "0") as url:
        async with reaching(url) as api:
            await tail(api, Run("job", PATCH), 100)  # everything is imported and connected
            tracemalloc.start()
            try:
                last = await tail(api, Run("job", BIG), 100)
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()

    assert last.total == 3011
    assert peak < 1024 * 1024


async def test_colors_and_the_stars_of_headings_are_left_out(url: str, api: Api) -> None:
    counted = await api.get("jobs", PATCH, "stdout", params={"format": "json", "end_line": 1})
    async with asking(url, GROUP) as ask:
        answer = await ask("get_job_output", job_id=PATCH)

    assert answer["total_lines"] == counted["range"]["absolute_end"]
    assert "\x1b" not in answer["text"]
    assert "TASK [Update all packages] ***\n" in answer["text"]
    assert not answer["truncated"]
    assert (answer["job_status"], answer["output_complete"]) == ("failed", True)


async def test_errors_are_those_of_hosts_that_failed(url: str) -> None:
    async with asking(url, GROUP) as ask:
        answer = await ask("get_job_output", job_id=31, mode="errors")
        none = await ask("get_job_output", job_id=33, mode="errors")

    assert answer["text"].count("TASK [Ask the authority for a certificate]") == 10
    assert "UNREACHABLE!" in answer["text"]
    assert none["text"] == ""


async def test_a_job_that_has_not_begun_has_printed_nothing(url: str) -> None:
    async with asking(url, GROUP) as ask:
        job = await ask("launch_job_template", template_id="Hello")
        answer = await ask("get_job_output", job_id=job["job_id"])

    assert (answer["text"], answer["total_lines"], answer["output_complete"]) == ("", 0, False)


async def test_the_text_has_at_most_the_characters_asked_for(url: str) -> None:
    async with asking(url, GROUP) as ask:
        end = await ask("get_job_output", job_id=PATCH, max_chars=300)
        start = await ask("get_job_output", job_id=PATCH, max_chars=300, mode="head")

    assert len(end["text"]) <= 300
    assert end["truncated"]
    assert end["text"].splitlines()[-1].startswith("web-08")
    assert end["last_line"] - end["first_line"] == end["text"].count("\n")
    assert len(start["text"]) <= 300
    assert start["first_line"] == 1


async def test_beyond_the_end_there_is_nothing(url: str) -> None:
    async with asking(url, GROUP) as ask:
        answer = await ask("get_job_output", job_id=PATCH, mode="range", start_line=5000)

    assert (answer["text"], answer["first_line"], answer["last_line"]) == ("", 0, 0)
    assert answer["total_lines"] > 50


async def test_a_workflow_has_no_output_and_says_where_it_is(url: str, api: Api, double: Double) -> None:
    workflow = double.world.store.find("workflow_job_templates", name="Release the shop")
    assert workflow is not None
    job = await api.post("workflow_job_templates", workflow["id"], "launch")
    async with asking(url, GROUP) as ask:
        text = await ask.refused("get_job_output", job_id=job["id"])
        none = await errors(api, Run("workflow_job", job["id"]), 10)

    assert text == f"workflow job {job['id']} has no output of its own; awx_get_workflow_job(job_id={job['id']})"
    assert none.text == ""


async def test_output_that_takes_too_long_says_what_reads_less(url: str, double: Double) -> None:
    double.faults.add(Fault("slow", "GET", "jobs/*/stdout/", seconds=5))
    async with reaching(url, seconds=0.5) as api:
        with pytest.raises(Exception, match="did not arrive in time; it is long; mode=errors"):
            await tail(api, Run("job", PATCH), 10)


async def test_a_line_without_an_end_is_cut() -> None:
    api = printed(f"first\n{'x' * 100_000}", step=4096)

    last = await tail(api, Run("job", 1), 1, most=10_000)

    assert last.text == f"{'x' * LONGEST_LINE}…(+{100_000 - LONGEST_LINE} chars)"
    assert (last.first, last.last, last.total) == (2, 2, 2)


@given(lines=st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20), max_size=30))
async def test_lines_are_the_same_however_they_arrive(lines: list[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)

    whole = await part(printed(text), Run("job", 1), 1, 1000)
    two = await part(printed(text, step=1), Run("job", 1), 2, 2)

    assert whole.text == clean("\n".join(lines))
    assert whole.total == len(lines)
    assert two.text == clean("\n".join(lines[1:3]))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[0;31mfatal\x1b[0m", "fatal"),
        ("\x1b[1;31;40mx\x1b[K", "x"),
        ("\x1b]0;title\x07x", "x"),
        ("50%\r\n", "50%\n"),
        ("a\tb", "a\tb"),
        ("TASK [x] ****************", "TASK [x] ***"),
        ("2 ** 3", "2 ** 3"),
    ],
)
def test_text_is_cleaned(text: str, expected: str) -> None:
    assert clean(text) == expected
