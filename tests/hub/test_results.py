"""Results that fit: cursors go on where an answer was cut, for whoever asked, as long as they live."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast, get_args

import anyio
import pytest
from anyio.lowlevel import checkpoint
from mcp import Client
from mcp_types import CallToolResult

from pegboard import Call, Column, Plugin, PluginSettings, Reading, Rows, ToolError, results, tool
from pegboard.fitting import estimate
from pegboard.hub import Hub
from pegboard.rows import Source
from pegboard.testing import client_of, connect, hub_of
from pegboard.testing.connect import Era

ERAS: tuple[Era, ...] = get_args(Era)
AnyCall = Call[PluginSettings]


class Backend:
    """A source of numbered rows that knows how often it is open, and how far it was read."""

    def __init__(self, rows: int, *, pins: bool = True, notice: str | None = None) -> None:
        self.rows, self.pins, self.notice = rows, pins, notice
        self.open, self.opened, self.read = 0, 0, 0
        self.fails_at: int | None = None
        self.stuck: anyio.Event | None = None

    @asynccontextmanager
    async def source(self) -> AsyncGenerator[Reading]:
        self.open, self.opened, at = self.open + 1, self.opened + 1, 0

        async def read(count: int) -> list[list[Any]]:
            nonlocal at
            if self.fails_at is not None and at >= self.fails_at:
                raise ToolError("the server went away")
            if self.stuck is not None and at > 0:
                await self.stuck.wait()
            rows = [[n, f"name {n}"] for n in range(at, min(at + count, self.fails_at or self.rows))]
            at, self.read = at + len(rows), self.read + len(rows)
            return rows

        try:
            yield Reading(read, [Column("id", "int8"), Column("name", "text")], pins=self.pins, notice=self.notice)
        finally:
            self.open -= 1


def asking(source: Source) -> Plugin:
    @tool(read_only=True)
    async def ask(limit: int | None = None, cursor: str | None = None) -> Rows:
        return Rows.more(cursor) if cursor else Rows(source, limit=limit)

    @tool(read_only=True)
    async def other(cursor: str) -> Rows:
        return Rows.more(cursor)

    return Plugin(name="x", tools=[ask, other])


async def asked(client: Client, name: str = "x_ask", **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(name, arguments)
    assert not result.is_error, result.content
    assert result.structured_content is not None
    return result.structured_content


def problem_of(result: CallToolResult) -> str:
    assert result.is_error
    return result.content[0].model_dump()["text"]


async def until(claim: Callable[[], bool]) -> None:
    with anyio.fail_after(5):
        while not claim():
            await checkpoint()


# Pages


@pytest.mark.parametrize("era", ERAS)
async def test_a_short_answer_is_complete_and_its_source_is_left(era: Era) -> None:
    backend = Backend(2, notice="two of them")

    async with connect(asking(backend.source), era=era) as client:
        answer = await asked(client)
        await until(lambda: backend.open == 0)

    assert answer == {
        "columns": [{"name": "id", "type": "int8"}, {"name": "name", "type": "text"}],
        "rows": [[0, "name 0"], [1, "name 1"]],
        "returned": 2,
        "has_more": False,
        "notice": "two of them",
    }


@pytest.mark.parametrize("era", ERAS)
async def test_pages_come_in_order_complete_and_once(era: Era) -> None:
    backend = Backend(30_000)

    async with connect(asking(backend.source), era=era) as client:
        page = await asked(client, limit=1000)
        rows = list(page["rows"])
        while page["has_more"]:
            page = await asked(client, "fetch_more", cursor=page["cursor"])
            rows += page["rows"]

    assert [row[0] for row in rows] == list(range(30_000))
    assert (backend.opened, backend.open, backend.read) == (1, 0, 30_000)


async def test_a_limit_is_the_most_rows_of_every_page() -> None:
    async with connect(asking(Backend(25).source)) as client:
        pages = [await asked(client, limit=10)]
        while pages[-1]["has_more"]:
            pages.append(await asked(client, "fetch_more", cursor=pages[-1]["cursor"]))

    assert [page["returned"] for page in pages] == [10, 10, 5]
    assert "cursor" not in pages[-1]


async def test_a_limit_met_exactly_has_no_next_page() -> None:
    async with connect(asking(Backend(10).source)) as client:
        assert (await asked(client, limit=10))["has_more"] is False


async def test_the_text_is_the_same_json() -> None:
    async with connect(asking(Backend(3).source)) as client:
        result = await client.call_tool("x_ask", {})

    import json

    assert json.loads(result.content[0].model_dump()["text"]) == result.structured_content


async def test_rows_that_are_small_are_read_ahead_and_the_source_is_left_at_once() -> None:
    backend = Backend(500)

    async with connect(asking(backend.source)) as client:
        page = await asked(client, limit=10)
        await until(lambda: backend.open == 0)
        assert (await asked(client, "fetch_more", cursor=page["cursor"]))["rows"][0][0] == 10


async def test_objects_are_items() -> None:
    @tool(read_only=True)
    async def find(call: AnyCall) -> Rows:
        return Rows.of([{"id": n} for n in range(5)], limit=2)

    async with connect(Plugin(name="x", tools=[find])) as client:
        first = await asked(client, "x_find")
        assert first["items"] == [{"id": 0}, {"id": 1}]
        assert (first["returned"], first["total"], first["has_more"]) == (2, 5, True)
        assert (await asked(client, "fetch_more", cursor=first["cursor"]))["items"] == [{"id": 2}, {"id": 3}]


async def test_a_row_that_alone_is_too_long_is_shortened_and_said_to_be() -> None:
    @tool(read_only=True)
    async def find() -> Rows:
        return Rows.of([["word " * 100_000, 1], ["short", 2]], [Column("text"), Column("id")])

    async with connect(Plugin(name="x", tools=[find])) as client:
        page = await asked(client, "x_find")

    assert page["rows"][0][0].startswith("word word")
    assert page["rows"][0][0].endswith("chars)")
    assert page["rows"][0][1] == 1
    assert "a row is too long for one answer" in page["notice"]


async def test_what_the_source_raises_is_the_error_of_the_call() -> None:
    @asynccontextmanager
    async def broken() -> AsyncGenerator[Reading]:
        raise ToolError("there is no such table")
        yield

    async with connect(asking(broken)) as client:
        assert problem_of(await client.call_tool("x_ask", {})) == "there is no such table"


async def test_a_crash_of_the_source_hides_its_text(caplog: pytest.LogCaptureFixture) -> None:
    @asynccontextmanager
    async def broken() -> AsyncGenerator[Reading]:
        raise SystemExit("hunter2")
        yield

    async with connect(asking(broken)) as client:
        problem = problem_of(await client.call_tool("x_ask", {}))

    assert problem.startswith("internal error in x_ask, ref ")
    assert "hunter2" not in problem


async def test_rows_that_were_read_come_before_the_error_that_ended_them() -> None:
    backend = Backend(1000)
    backend.fails_at = 100

    async with connect(asking(backend.source)) as client:
        first = await asked(client, limit=60)
        second = await asked(client, "fetch_more", cursor=first["cursor"])
        assert (second["returned"], second["has_more"]) == (40, True)
        third = await client.call_tool("fetch_more", {"cursor": second["cursor"]})

    assert problem_of(third) == "the server went away"


# Choosing


async def test_a_filter_and_columns_choose_among_what_follows() -> None:
    async with connect(asking(Backend(2000).source)) as client:
        first = await asked(client, limit=10)
        page = await asked(client, "fetch_more", cursor=first["cursor"], filter={"id": {"gte": 1990}}, columns=["name"])

    assert page["columns"] == [{"name": "name", "type": "text"}]
    assert page["rows"] == [[f"name {n}"] for n in range(1990, 2000)]


async def test_a_filter_that_keeps_nothing_goes_on_after_so_many_rows() -> None:
    async with connect(asking(Backend(50_000).source)) as client:
        page = await asked(client, limit=10)
        calls = 0
        while page["has_more"]:
            page = await asked(client, "fetch_more", cursor=page["cursor"], filter={"id": -1})
            calls += 1
            assert page["rows"] == []

    assert calls == 3


async def test_a_wrong_column_is_an_error_and_nothing_is_lost() -> None:
    async with connect(asking(Backend(100).source)) as client:
        first = await asked(client, limit=10)
        wrong = await client.call_tool("fetch_more", {"cursor": first["cursor"], "columns": ["nme"]})
        assert problem_of(wrong) == "the rows have no column 'nme'; did you mean 'name'?"
        assert (await asked(client, "fetch_more", cursor=first["cursor"]))["rows"][0][0] == 10


@pytest.mark.parametrize("wrong", [{"nope": 1}, {"name": {"below": 1}}])
async def test_a_wrong_filter_is_an_error_and_nothing_is_lost(wrong: dict[str, Any]) -> None:
    async with connect(asking(Backend(100).source)) as client:
        first = await asked(client, limit=10)
        answer = await client.call_tool(
            "fetch_more", {"cursor": first["cursor"], "filter": {"id": {"gt": 20}, **wrong}}
        )
        assert answer.is_error
        assert (await asked(client, "fetch_more", cursor=first["cursor"]))["rows"][0][0] == 10


async def test_a_call_that_comes_too_late_takes_no_rows_with_it() -> None:
    backend = Backend(1_000_000)
    async with connect(asking(backend.source), settings={"calls": {"deadline": 0.3}}) as client:
        first = await asked(client, limit=10)
        backend.stuck = anyio.Event()
        late = await client.call_tool("fetch_more", {"cursor": first["cursor"], "filter": {"id": -1}})
        assert problem_of(late).startswith("fetch_more did not finish")
        assert (await asked(client, "fetch_more", cursor=first["cursor"]))["rows"][0][0] == 10


async def test_two_calls_with_one_cursor_get_one_page() -> None:
    pages: list[dict[str, Any]] = []
    async with connect(asking(Backend(50_000).source)) as client:
        first = await asked(client, limit=10)

        async def more() -> None:
            pages.append(await asked(client, "fetch_more", cursor=first["cursor"]))

        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(more)
        last = await asked(client, "fetch_more", cursor=pages[0]["cursor"])

    assert all(page == pages[0] for page in pages)
    assert (pages[0]["rows"][0][0], last["rows"][0][0]) == (10, 20)


async def test_others_are_served_while_a_filter_looks_at_many_rows() -> None:
    @tool(read_only=True)
    async def find() -> Rows:
        return Rows.of(
            [[n, "a name of some length " * 4] for n in range(15_000)], [Column("id"), Column("name")], limit=1
        )

    turns = before = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await checkpoint()
            turns += 1

    async with connect(Plugin(name="x", tools=[find])) as client, anyio.create_task_group() as tasks:
        cursor = (await asked(client, "x_find"))["cursor"]
        tasks.start_soon(count)
        before = turns
        await asked(client, "fetch_more", cursor=cursor, filter={"name": {"contains": "nothing"}})
        tasks.cancel_scope.cancel()

    assert turns - before > 15_000 / 500


async def test_columns_that_are_repeated_count_once() -> None:
    async with connect(asking(Backend(100).source)) as client:
        first = await asked(client, limit=10)
        page = await asked(client, "fetch_more", cursor=first["cursor"], columns=["name"] * 50_000)

    assert page["columns"] == [{"name": "name", "type": "text"}]
    assert page["rows"][0] == ["name 10"]


# Rows that are hard to send


async def test_more_columns_than_an_answer_can_take_are_cut() -> None:
    @tool(read_only=True)
    async def find() -> Rows:
        return Rows.of([["a value"] * 1600], [Column(f"a column with a long name {n}", "text") for n in range(1600)])

    async with connect(Plugin(name="x", tools=[find])) as client:
        result = await client.call_tool("x_find", {})

    assert estimate(result.content[0].model_dump()["text"]) < 4000
    page = cast(dict[str, Any], result.structured_content)
    shown = len(page["columns"])
    assert shown > 50
    assert len(page["rows"][0]) == shown
    assert page["notice"] == f"only {shown} of 1600 columns have room; select the ones you need"


async def test_an_object_with_more_keys_than_an_answer_can_take_is_cut() -> None:
    @tool(read_only=True)
    async def find() -> Rows:
        return Rows.of([{f"a key with a long name {n}": "word " * 100 for n in range(3000)}] * 2)

    async with connect(Plugin(name="x", tools=[find])) as client:
        result = await client.call_tool("x_find", {})
        page = cast(dict[str, Any], result.structured_content)
        assert estimate(result.content[0].model_dump()["text"]) < 4000
        assert len(page["items"][0]) > 50
        assert (await asked(client, "fetch_more", cursor=page["cursor"], columns=["a key with a long name 2999"]))[
            "items"
        ]


async def test_half_a_character_does_not_end_the_reading() -> None:
    @tool(read_only=True)
    async def find() -> Rows:
        return Rows.of([["a\ud800b", {"\udfff": b"\xff"}], ["é", None]], [Column("text"), Column("more")])

    async with connect(Plugin(name="x", tools=[find])) as client:
        page = await asked(client, "x_find")

    assert page["rows"] == [["a?b", {"?": "\ufffd"}], ["é", None]]


async def test_a_row_with_columns_that_is_no_list_is_a_crash_of_the_tool(caplog: pytest.LogCaptureFixture) -> None:
    @tool(read_only=True)
    async def find() -> Rows:
        return Rows.of(["abc"], [Column("text")])

    async with connect(Plugin(name="x", tools=[find])) as client:
        assert problem_of(await client.call_tool("x_find", {})).startswith("internal error in x_find")

    assert "a row with columns is a list of values" in caplog.text


async def test_a_long_notice_is_shortened() -> None:
    @tool(read_only=True)
    async def find() -> Rows:
        return Rows.of([[1]], [Column("id")], notice="well " * 10_000)

    async with connect(Plugin(name="x", tools=[find])) as client:
        assert len((await asked(client, "x_find"))["notice"]) < 1100


# Cursors


async def test_the_last_cursor_gives_the_same_page_again() -> None:
    async with connect(asking(Backend(100).source)) as client:
        first = await asked(client, limit=10)
        second = await asked(client, "fetch_more", cursor=first["cursor"])
        assert await asked(client, "fetch_more", cursor=first["cursor"]) == second
        await asked(client, "fetch_more", cursor=second["cursor"])
        again = await client.call_tool("fetch_more", {"cursor": first["cursor"]})

    assert problem_of(again) == "this cursor was read on already; go on with the cursor of the last answer"


async def test_a_cursor_of_one_session_works_in_another_and_in_another_era() -> None:
    backend = Backend(50_000, pins=False)
    async with hub_of(asking(backend.source)) as hub:
        async with client_of(hub) as client:
            first = await asked(client, limit=10)
        async with client_of(hub, era="stateless") as client:
            second = await asked(client, "fetch_more", cursor=first["cursor"])
        async with client_of(hub, path="/x") as client:
            third = await asked(client, "fetch_more", cursor=second["cursor"])

    assert third["rows"][0][0] == 20


@pytest.mark.parametrize("change", ["position", "name", "signature", "nothing of it", "long"])
async def test_a_cursor_that_was_changed_is_none(change: str) -> None:
    async with connect(asking(Backend(100).source)) as client:
        cursor: str = (await asked(client, limit=10))["cursor"]
        name, position, signature = cursor.split("-")
        wrong = {
            "position": f"{name}-{int(position) + 1}-{signature}",
            "name": f"{'0' * 8}-{position}-{signature}",
            "signature": f"{name}-{position}-{'0' * 16}",
            "nothing of it": "1; DROP TABLE x",
            "long": cursor * 1000,
        }[change]
        answer = await client.call_tool("fetch_more", {"cursor": wrong})

    assert problem_of(answer).startswith("there is no such cursor; one lives for 10 min")


async def test_a_cursor_belongs_to_whoever_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Principals come with authentication; until then every call is nobody's."""
    backend = Backend(100)
    async with hub_of(asking(backend.source)) as hub:
        mine = call_of(hub, "ada")
        answer = await hub.results.rows(Rows(backend.source, limit=10), mine)
        cursor: str = answer["structuredContent"]["cursor"]
        with pytest.raises(ToolError, match="there is no such cursor"):
            await hub.results.rows(Rows.more(cursor), call_of(hub, "bob"))
        assert (await hub.results.rows(Rows.more(cursor), mine))["structuredContent"]["rows"][0][0] == 10


def call_of(hub: Hub, principal: str) -> AnyCall:
    return Call(
        PluginSettings(),
        "x",
        "x_ask",
        "all",
        timeout=5,
        deadline=anyio.current_time() + 5,
        pools=hub.pools,
        principal=principal,
    )


async def test_a_cursor_is_of_its_tool_or_for_fetch_more() -> None:
    async with connect(asking(Backend(100).source)) as client:
        cursor = (await asked(client, limit=10))["cursor"]
        assert problem_of(await client.call_tool("x_other", {"cursor": cursor})).startswith(
            "this cursor is one of x_ask"
        )
        assert (await asked(client, cursor=cursor))["rows"][0][0] == 10


async def test_a_cursor_expires() -> None:
    async with connect(asking(Backend(100).source), settings={"results": {"expire": 0.01}}) as client:
        cursor = (await asked(client, limit=10))["cursor"]
        await anyio.sleep(0.02)
        assert problem_of(await client.call_tool("fetch_more", {"cursor": cursor})).startswith(
            "there is no such cursor"
        )


# What is held


async def test_a_session_that_ends_lets_go_of_what_it_held() -> None:
    backend = Backend(1_000_000)
    async with hub_of(asking(backend.source)) as hub:
        async with client_of(hub) as client:
            await asked(client, limit=10)
            assert (backend.open, hub.results.open_cursors) == (1, 1)
        await until(lambda: backend.open == 0)
        assert hub.results.open_cursors == 0


async def test_a_source_nobody_goes_on_with_is_closed_and_what_was_read_remains() -> None:
    backend = Backend(1_000_000)
    async with connect(asking(backend.source), settings={"results": {"idle": 0.01}}) as client:
        page = await asked(client, limit=10)
        await until(lambda: backend.open == 0)
        rows = 10
        while True:
            result = await client.call_tool("fetch_more", {"cursor": page["cursor"]})
            if result.is_error:
                break
            assert result.structured_content is not None
            page = result.structured_content
            assert page["rows"][0][0] == rows
            rows += page["returned"]

    assert rows > 1000
    assert problem_of(result) == "there are no more rows here: nobody went on for 0.01 s"


async def test_of_too_many_open_sources_the_oldest_is_closed() -> None:
    backend = Backend(1_000_000)
    async with connect(asking(backend.source), settings={"results": {"open_cursors": 2}}) as client:
        for _ in range(4):
            await asked(client, limit=10)
        assert backend.open == 2


async def test_a_source_that_holds_nothing_stays_open() -> None:
    backend = Backend(1_000_000, pins=False)
    async with connect(asking(backend.source), settings={"results": {"open_cursors": 0, "idle": 0.01}}) as client:
        page = await asked(client, limit=10)
        await anyio.sleep(0.05)
        for _ in range(3):
            page = await asked(client, "fetch_more", cursor=page["cursor"])

    assert page["rows"][0][0] == 30


async def test_a_call_that_is_cancelled_ends_the_reading() -> None:
    backend = Backend(1_000_000)
    backend.stuck = anyio.Event()
    async with connect(asking(backend.source), settings={"calls": {"deadline": 0.05}}) as client:
        result = await client.call_tool("x_ask", {"limit": 5000})
        await until(lambda: backend.open == 0)

    assert problem_of(result).startswith("x_ask did not finish in 0.05 s")


async def test_a_call_that_fails_holds_nothing(caplog: pytest.LogCaptureFixture) -> None:
    backend = Backend(1_000_000)

    @tool(read_only=True)
    async def find() -> Rows:
        return Rows(backend.source, limit=10, filter={"nope": 1})

    async with connect(Plugin(name="x", tools=[find])) as client:
        assert "no column 'nope'" in problem_of(await client.call_tool("x_find", {}))
        assert backend.open == 0


async def test_a_source_that_ignores_its_end_does_not_hold_up_the_hub(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(results, "CLOSE_TIMEOUT", 0.05)
    released = anyio.Event()

    @asynccontextmanager
    async def source() -> AsyncGenerator[Reading]:
        async def read(count: int) -> list[str]:
            return ["x" * 1000] * count

        try:
            yield Reading(read)
        finally:
            with anyio.CancelScope(shield=True):
                await released.wait()

    with anyio.fail_after(5):
        async with connect(asking(source)) as client:
            assert (await asked(client))["has_more"]

    assert "the rows of x_ask ignores its cancellation and is left behind" in caplog.text
    assert "< source (test_results.py" in caplog.text
    released.set()


async def test_small_answers_that_go_on_are_bounded_too() -> None:
    async with connect(asking(Backend(11).source), settings={"results": {"store_bytes": 20_000}}) as client:
        cursors = [(await asked(client, limit=10))["cursor"] for _ in range(20)]
        oldest = await client.call_tool("fetch_more", {"cursor": cursors[0]})
        assert problem_of(oldest).startswith("there is no such cursor")
        assert (await asked(client, "fetch_more", cursor=cursors[-1]))["rows"] == [[10, "name 10"]]


async def test_what_is_kept_is_bounded_and_the_oldest_goes_first() -> None:
    async with connect(asking(Backend(3000).source), settings={"results": {"store_bytes": 150_000}}) as client:
        cursors = [(await asked(client, limit=10))["cursor"] for _ in range(4)]
        oldest = await client.call_tool("fetch_more", {"cursor": cursors[0]})
        assert problem_of(oldest).startswith("there is no such cursor")
        assert (await asked(client, "fetch_more", cursor=cursors[-1]))["rows"][0][0] == 10


# Any other answer


def returning(value: Any, annotation: Any) -> Plugin:
    async def give() -> Any:
        return value

    give.__annotations__["return"] = annotation
    return Plugin(name="x", tools=[tool(read_only=True)(give)])


async def test_a_list_that_is_too_long_goes_on() -> None:
    things = [{"id": n, "text": "some words"} for n in range(1000)]
    async with connect(returning(things, list[dict[str, Any]])) as client:
        page = await asked(client, "x_give")
        found = page["result"]
        assert (page["returned"], page["total"], page["has_more"]) == (len(found), 1000, True)
        assert "fetch_more goes on with the cursor" in page["notice"]
        while page["has_more"]:
            page = await asked(client, "fetch_more", cursor=page["cursor"])
            found += page["items"]

    assert found == things


async def test_a_list_in_an_object_is_named() -> None:
    async with connect(returning({"tables": list(range(5000)), "db": "shop"}, dict[str, Any])) as client:
        page = await asked(client, "x_give")

    assert (page["cut"], page["db"], page["total"]) == ("tables", "shop", 5000)


async def test_an_object_that_takes_no_more_keys_is_told_about_beside_it() -> None:
    from typing_extensions import TypedDict

    class Mine(TypedDict):
        cursor: str
        items: list[int]

    async with connect(returning({"cursor": "own", "items": list(range(5000))}, Mine)) as client:
        result = await client.call_tool("x_give", {})

    assert result.structured_content is not None
    assert result.structured_content["cursor"] == "own"
    assert '"cut":"items"' in result.content[1].model_dump()["text"]


async def test_a_tools_own_word_on_whether_there_is_more_is_put_right() -> None:
    whole = {"items": list(range(5000)), "total": 5000, "has_more": False}
    async with connect(returning(whole, dict[str, Any])) as client:
        result = await client.call_tool("x_give", {})

    assert result.structured_content is not None
    assert (result.structured_content["has_more"], result.structured_content["total"]) == (True, 5000)
    assert '"cut":"items"' in result.content[1].model_dump()["text"]


async def test_a_long_text_goes_on_by_lines() -> None:
    lines = [f"line {n}" for n in range(5000)]
    async with connect(returning("\n".join(lines), str)) as client:
        text: str = (await client.call_tool("x_give", {})).content[0].model_dump()["text"]
        *found, more = text.split("\n")
        assert more.startswith(f"…(+{5000 - len(found)} lines; fetch_more goes on with the cursor ")
        page = await asked(client, "fetch_more", cursor=more.rpartition(" ")[2].rstrip(")"))

    assert [*found, *page["items"]] == lines[: len(found) + page["returned"]]


async def test_a_long_error_is_shortened() -> None:
    @tool(read_only=True)
    async def fail() -> str:
        raise ToolError("no " * 100_000)

    async with connect(Plugin(name="x", tools=[fail])) as client:
        assert len(problem_of(await client.call_tool("x_fail", {}))) < 10_000


# Where fetch_more is listed


async def names_at(hub: Hub, path: str) -> list[str]:
    async with client_of(hub, path) as client:
        return [one.name for one in (await client.list_tools()).tools]


async def test_fetch_more_is_listed_where_answers_are_lists() -> None:
    @tool(read_only=True)
    async def one() -> str:
        return "x" * 100_000

    async with hub_of(asking(Backend(1).source), Plugin(name="y", tools=[one])) as hub:
        assert await names_at(hub, "/x") == ["x_ask", "x_other", "fetch_more"]
        assert await names_at(hub, "/y") == ["y_one"]
        async with client_of(hub, "/y") as client:  # it can be called all the same
            text = (await client.call_tool("y_one", {})).content[0].model_dump()["text"]
            cursor = text.rpartition("cursor ")[2].rstrip(")")
            assert (await asked(client, "fetch_more", cursor=cursor))["items"][0].startswith("xxx")


async def test_fetch_more_stays_listed_where_others_are_hidden() -> None:
    async with hub_of(asking(Backend(1).source), settings={"budget": {"tools": 3}}) as hub:
        assert await names_at(hub, "/x") == ["x_ask", "x_other", "fetch_more"]
    async with hub_of(asking(Backend(1).source), settings={"budget": {"tools": 3, "pinned": ["x_ask"]}}) as hub:
        assert "fetch_more" in await names_at(hub, "/x")
