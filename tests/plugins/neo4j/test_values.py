"""Every type of Cypher to JSON and back, through the tool and a real engine."""

import json
import math
from collections.abc import Callable, Generator
from datetime import datetime, timedelta
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from neo4j.time import Date, DateTime, Duration, Time
from neo4j.vector import Vector
from pytz import FixedOffset, timezone
from tests.plugins.neo4j.engines import Engine
from tests.plugins.neo4j.fixtures import client_on, rows

from pegboard import ToolError
from pegboard_neo4j import parameters
from pegboard_neo4j.values import Renderer

Echo = Callable[[Any], Any]

few = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def echo(graph_server: Engine) -> Generator[Echo]:
    """Send values as parameters and read them back from the answer, many in one query."""
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(client_on(graph_server)) as client:

        def asked(values: list[Any]) -> list[Any]:
            async def ask() -> list[list[Any]]:
                names = [f"p{index}" for index in range(len(values))]
                query = f"RETURN {', '.join(f'${name} AS {name}' for name in names)}"
                return await rows(client, query, **dict(zip(names, values, strict=True)))

            return portal.call(ask)[0]

        yield asked


def many(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(values, min_size=1, max_size=25)


def at(value: Any, zone: Any) -> Any:
    """The same clock in a zone, or at an offset."""
    return value.replace(tzinfo=zone)


def typed(kind: str, value: str) -> dict[str, str]:
    return {"_type": kind, "value": value}


INTEGERS = st.integers(-(2**63), 2**63 - 1) | st.sampled_from([2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63)])
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(TEXT.filter(lambda key: key not in ("", "_type")), inner, max_size=3)
    ),
    max_leaves=8,
)


@few
@given(many(INTEGERS))
def test_an_integer_is_a_number_as_far_as_every_client_can_count_and_then_its_digits(
    echo: Echo, values: list[int]
) -> None:
    expected = [value if abs(value) <= 2**53 else str(value) for value in values]

    assert echo([typed("integer", str(value)) for value in values]) == expected


@few
@given(many(st.floats()))
def test_a_float_is_a_number_or_the_name_of_what_is_none(echo: Echo, values: list[float]) -> None:
    names = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
    answered = echo([typed("float", names.get(repr(value), repr(value))) for value in values])

    assert [str(float(one)) for one in answered] == [str(value) for value in values]
    assert all(isinstance(one, str) != math.isfinite(value) for one, value in zip(answered, values, strict=True))


@few
@given(many(JSON_VALUES))
def test_what_json_has_a_word_for_stays_as_it_is(echo: Echo, values: list[Any]) -> None:
    assert json.loads(json.dumps(echo(values))) == values


@few
@given(many(st.binary(max_size=200)))
def test_bytes_go_out_as_base64_and_come_back(echo: Echo, values: list[bytes]) -> None:
    shown = Renderer().row(values)

    assert echo(shown) == shown
    assert [parameters.value(one, "x") for one in shown] == values


DATES = st.dates().map(lambda day: Date(day.year, day.month, day.day))
NANOSECONDS = st.integers(0, 999_999_999) | st.sampled_from([0, 1, 500_000_000, 999_999_999])
CLOCKS = st.builds(Time, st.integers(0, 23), st.integers(0, 59), st.integers(0, 59), NANOSECONDS)
OFFSETS = st.integers(-14 * 60, 14 * 60).map(FixedOffset)
ZONES = st.sampled_from(["Europe/Rome", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "Africa/Monrovia"])
LOCAL = st.builds(DateTime.combine, DATES, CLOCKS)
FIRST, LAST = datetime(1970, 1, 2), datetime(2037, 1, 1)  # noqa: DTZ001 # local, to be put into a zone
RECENT = st.datetimes(FIRST, LAST).map(DateTime.from_native)
NOT_AT_THE_EDGE = LOCAL.filter(lambda moment: 1 < moment.year < 9999)


@few
@given(many(DATES))
def test_a_date_is_iso(echo: Echo, values: list[Date]) -> None:
    texts = [value.iso_format() for value in values]

    assert echo([typed("date", text) for text in texts]) == texts


@few
@given(many(CLOCKS), OFFSETS)
def test_a_time_keeps_its_nanoseconds_and_its_offset(echo: Echo, values: list[Time], offset: Any) -> None:
    shown = Renderer().row([*values, *(at(value, offset) for value in values)])

    assert echo([typed("time", text) for text in shown]) == shown


@few
@given(many(LOCAL))
def test_a_local_datetime_keeps_its_nanoseconds(echo: Echo, values: list[DateTime]) -> None:
    shown = Renderer().row(values)

    assert echo([typed("datetime", text) for text in shown]) == shown
    assert [parameters.value(typed("datetime", text), "x") for text in shown] == values


@few
@given(many(NOT_AT_THE_EDGE), OFFSETS)
def test_a_datetime_keeps_its_offset(echo: Echo, values: list[DateTime], offset: Any) -> None:
    shown = Renderer().row([at(value, offset) for value in values])

    assert echo([typed("datetime", text) for text in shown]) == shown


@few
@given(many(RECENT), ZONES)
def test_a_datetime_keeps_its_zone_also_when_clocks_go_back(echo: Echo, values: list[DateTime], zone: str) -> None:
    moments = [at(value, FixedOffset(0)).as_timezone(timezone(zone)) for value in values]
    shown = Renderer().row(moments)

    assert all(text.endswith(f"[{zone}]") for text in shown)
    assert echo([typed("datetime", text) for text in shown]) == shown
    assert [parameters.value(typed("datetime", text), "x") for text in shown] == moments


def duration(months: int, days: int, seconds: int, nanoseconds: int) -> Duration:
    """One whose seconds and nanoseconds have the same sign, as a server keeps them."""
    return Duration(
        months=months, days=days, seconds=seconds, nanoseconds=nanoseconds if seconds >= 0 else -nanoseconds
    )


DURATIONS = st.builds(
    duration,
    st.integers(-5000, 5000),
    st.integers(-50_000, 50_000),
    st.integers(-(10**9), 10**9),
    NANOSECONDS,
)


@few
@given(many(DURATIONS))
def test_a_duration_is_iso(echo: Echo, values: list[Duration]) -> None:
    texts = [value.iso_format() for value in values]

    assert echo([typed("duration", text) for text in texts]) == texts
    assert [parameters.value(typed("duration", text), "x") for text in texts] == values


FINITE = st.floats(-1e9, 1e9)
POINTS = (
    st.tuples(st.just(7203), st.tuples(FINITE, FINITE))
    | st.tuples(st.just(9157), st.tuples(FINITE, FINITE, FINITE))
    | st.tuples(st.just(4326), st.tuples(st.floats(-180, 180), st.floats(-90, 90)))
    | st.tuples(st.just(4979), st.tuples(st.floats(-180, 180), st.floats(-90, 90), FINITE))
)


@few
@given(many(POINTS.map(lambda point: {"_type": "point", "srid": point[0], "coordinates": list(point[1])})))
def test_a_point_keeps_its_reference_system(echo: Echo, values: list[dict[str, Any]]) -> None:
    assert echo(values) == values


async def test_nodes_relationships_and_paths_carry_all_they_have(graph_server: Engine) -> None:
    async with client_on(graph_server, writes="allow") as client:
        written = await client.call_tool(
            "neo4j_write",
            {
                "cypher": "CREATE p = (a:Types {d: $d, l: [1, 2]})-[r:TO {w: 0.5}]->(b:Types) RETURN a, r, b, p",
                "params": {"d": typed("date", "2024-05-01")},
            },
        )
        assert not written.is_error, written.content
        ((a, r, b, path),) = await rows(client, "MATCH p = (a:Types)-[r:TO]->(b) RETURN a, r, b, p")
        await client.call_tool("neo4j_write", {"cypher": "MATCH (n:Types) DETACH DELETE n"})

    assert a == {
        "_type": "node",
        "element_id": a["element_id"],
        "labels": ["Types"],
        "properties": {"d": "2024-05-01", "l": [1, 2]},
    }
    assert r == {
        "_type": "relationship",
        "element_id": r["element_id"],
        "type": "TO",
        "start": a["element_id"],
        "end": b["element_id"],
        "properties": {"w": 0.5},
    }
    assert path == {"_type": "path", "nodes": [a, b], "relationships": [r]}


def test_a_vector_shows_its_type_and_comes_back() -> None:
    vector = Vector([1.0, -0.5], "f32")
    shown = Renderer().json(vector)

    assert shown == {"_type": "vector", "dtype": "f32", "values": [1.0, -0.5]}
    assert str(parameters.value(shown, "x")) == str(vector)


def test_a_long_embedding_and_long_bytes_are_cut_with_what_is_missing() -> None:
    renderer = Renderer(cell=100)

    assert renderer.json([0.5] * 1536) == [0.5] * 8 + ["…(+1528 items)"]
    assert renderer.json(b"x" * 10**6)["base64"].endswith("…(+999925 bytes)")


def test_half_a_surrogate_pair_is_replaced_and_what_is_too_deep_is_text() -> None:
    deep: Any = 1
    for _ in range(40):
        deep = [deep]

    assert Renderer().json("a\ud800b") == "a?b"
    assert json.dumps(Renderer().json(deep))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (2**63, "beyond 64 bits"),
        ({"a": [1, {"b": 2**64}]}, "$x.a[1].b is an integer"),
        ("\ud800", "surrogate"),
        ({"_type": "date", "value": "yesterday"}, "$x is no date"),
        ({"_type": "date"}, '{"_type": "date", "value": "2024-05-01"}'),
        ({"_type": "point", "srid": 4326, "coordinates": [1, 2, 3]}, "is no point"),
        ({"_type": "bytes", "base64": "?"}, "is no bytes"),
        ({"_type": "datetime", "value": "2024-05-01T12:00:00[Mars/Olympus]"}, "is no datetime"),
        ({"_type": "integer", "value": str(2**64)}, "is no integer"),
        ({"_type": "money"}, "unknown _type 'money'"),
        ({"_type": "node"}, "send its element_id"),
    ],
)
def test_a_parameter_that_cannot_be_used_is_named(value: Any, said: str) -> None:
    with pytest.raises(ToolError) as raised:
        parameters.values({"x": value})

    assert said in str(raised.value)


def test_an_old_offset_keeps_its_seconds() -> None:
    moment = at(DateTime(1850, 1, 1, 12, 0, 0), timezone("Europe/Rome"))

    assert Renderer().json(moment) == "1850-01-01T12:00:00+00:50[Europe/Rome]"
    assert moment.utcoffset() == timedelta(minutes=50)


def test_of_a_long_list_the_beginning_is_shown_and_how_much_follows() -> None:
    shown = Renderer().json(["a"] * 50_000)

    assert (len(shown), shown[0], shown[-1]) == (10_001, "a", "…(+40000 items)")


def test_a_parameter_with_too_many_items_is_refused() -> None:
    with pytest.raises(ToolError, match=r"\$x\.rows has 50001 items; send at most 50000 at a time"):
        parameters.values({"x": {"rows": [1] * 50_001}})
