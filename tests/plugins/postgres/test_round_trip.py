"""Property tests: a value of any type goes to JSON and back, and is the same to PostgreSQL."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.plugins.postgres.conftest import MakeReader, Reader

from pegboard_postgres.embedded import Embedded

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
INT4 = st.integers(-(2**31), 2**31 - 1)
INT8 = st.integers(-(2**63), 2**63 - 1)
FINITE = {"allow_nan": False, "allow_infinity": False}
NUMERIC = st.decimals(places=10, **FINITE) | st.decimals(**FINITE)
FLOAT8 = st.floats(allow_nan=False, allow_infinity=False)
FLOAT4 = st.floats(width=32, allow_nan=False, allow_infinity=False)
DAY = st.integers(-700_000, 2_000_000)
MICROSECONDS = st.integers(-(2**55), 2**55)
EXACT = 2**53
"""Beyond it, a number in a document becomes a string, for good."""
JSON = st.recursive(
    st.none() | st.booleans() | TEXT | st.integers(-EXACT, EXACT) | st.floats(-EXACT, EXACT),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
DOCUMENT = JSON.filter(lambda value: value is not None)
"""A null of JSON is the same to a client as one of SQL."""


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def literal(type_: str) -> Callable[[object], str]:
    return lambda value: f"{quoted(str(value))}::{type_}"


def decimal(value: Decimal) -> str:
    return f"'{value}'::numeric"


def jsonb(value: Any) -> str:
    return f"{quoted(json.dumps(value))}::jsonb"


def array(strategy: Any, type_: str) -> Any:
    return st.lists(strategy | st.just("NULL"), max_size=5).map(lambda items: f"ARRAY[{', '.join(items)}]::{type_}[]")


DATES = DAY.map(lambda days: f"('2000-01-01'::date + {days})")
TIMESTAMPS = MICROSECONDS.map(lambda us: f"('2000-01-01'::timestamp + interval '{us} us')")
INTERVALS = st.tuples(st.integers(-9999, 9999), st.integers(-9999, 9999), st.integers(-(2**40), 2**40)).map(
    lambda parts: f"make_interval(months => {parts[0]}, days => {parts[1]}) + interval '{parts[2]} us'"
)
BOUNDS = st.tuples(INT4, INT4, st.sampled_from(["[]", "()", "[)", "(]"]))
RANGES = BOUNDS.map(lambda b: f"int4range({min(b[:2])}, least({max(b[:2])}::int8, 2147483646)::int4, '{b[2]}')")
ADDRESSES = st.ip_addresses()

EXPRESSIONS: dict[str, st.SearchStrategy[str]] = {
    "bool": st.booleans().map(str),
    "int2": st.integers(-(2**15), 2**15 - 1).map(literal("int2")),
    "int4": INT4.map(literal("int4")),
    "int8": INT8.map(literal("int8")),
    "oid": st.integers(0, 2**32 - 1).map(literal("oid")),
    "numeric": NUMERIC.map(decimal) | st.sampled_from(["'NaN'::numeric", "'-Infinity'::numeric"]),
    "float8": FLOAT8.map(literal("float8")) | st.sampled_from(["'NaN'::float8", "'-Infinity'::float8"]),
    "float4": FLOAT4.map(literal("float4")) | st.just("'Infinity'::float4"),
    "text": TEXT.map(quoted).map("{}::text".format),
    "varchar": TEXT.map(quoted).map("{}::varchar".format),
    "bpchar": TEXT.map(quoted).map("{}::char(50)".format),
    "name": TEXT.map(quoted).map("{}::name".format),
    "bytea": st.binary(max_size=60).map(lambda data: f"'\\x{data.hex()}'::bytea"),
    "date": DATES | st.sampled_from(["'infinity'::date", "'-infinity'::date"]),
    "timestamp": TIMESTAMPS | st.just("'infinity'::timestamp"),
    "timestamptz": TIMESTAMPS.map("({} AT TIME ZONE 'UTC')".format) | st.just("'-infinity'::timestamptz"),
    "time": MICROSECONDS.map(lambda us: f"('00:00'::time + interval '{us} us')"),
    "timetz": st.integers(-15, 15).map(lambda hours: f"'12:34:56.789{hours:+03}'::timetz"),
    "interval": INTERVALS,
    "uuid": st.uuids().map(literal("uuid")),
    "json": DOCUMENT.map(lambda value: f"{quoted(json.dumps(value))}::json"),
    "jsonb": DOCUMENT.map(jsonb),
    "inet": ADDRESSES.map(literal("inet")) | ADDRESSES.map(lambda a: f"set_masklen('{a}'::inet, 20)"),
    "cidr": ADDRESSES.map(lambda address: f"network(set_masklen('{address}'::inet, 20))"),
    "macaddr": st.binary(min_size=6, max_size=6).map(lambda data: f"'{data.hex(':')}'::macaddr"),
    "macaddr8": st.binary(min_size=8, max_size=8).map(lambda data: f"'{data.hex(':')}'::macaddr8"),
    "varbit": st.text("01", max_size=70).map(lambda bits: f"B'{bits}'::varbit"),
    "money": INT4.map(lambda cents: f"({cents} / 100.0)::numeric::money"),
    "int4range": RANGES,
    "int4multirange": RANGES.map("int4multirange({})".format),
    "numrange": st.tuples(NUMERIC, NUMERIC).map(lambda pair: f"numrange({decimal(min(pair))}, {decimal(max(pair))})"),
    "tstzrange": TIMESTAMPS.map(lambda at: f"tstzrange({at} AT TIME ZONE 'UTC', NULL)"),
    "point": st.tuples(FLOAT8, FLOAT8).map(lambda xy: f"point({xy[0]!r}, {xy[1]!r})"),
    "tsvector": TEXT.map(lambda text: f"to_tsvector('simple', {quoted(text)})"),
    "pg_lsn": INT8.filter(lambda n: n >= 0).map(lambda n: f"'{n >> 32:X}/{n & 0xFFFFFFFF:X}'::pg_lsn"),
    "int4[]": array(INT4.map(str), "int4"),
    "int8[]": array(INT8.map("'{}'".format), "int8"),
    "text[]": array(TEXT.map(quoted), "text"),
    "bool[]": array(st.booleans().map(str), "bool"),
    "numeric[]": array(NUMERIC.map("'{}'".format), "numeric"),
    "float8[]": array(FLOAT8.map("'{!r}'".format), "float8"),
    "float4[]": array(FLOAT4.map("'{!r}'".format), "float4"),
    "date[]": array(DATES, "date"),
    "uuid[]": array(st.uuids().map("'{}'".format), "uuid"),
    "jsonb[]": array(DOCUMENT.map(jsonb), "jsonb"),
    "bytea[]": array(st.binary(max_size=9).map(lambda data: f"'\\x{data.hex()}'::bytea"), "bytea"),
}

COMPARABLE = {"json": "::jsonb", "point": "::text"}
"""As what the types are compared that have no equality of their own."""


def equality(type_: str, expression: str, place: int) -> str:
    cast = COMPARABLE.get(type_, "")
    return f"({expression}){cast} IS NOT DISTINCT FROM (${place}::{type_}){cast}"


def as_sent(type_: str, value: Any) -> Any:
    """A string is sent to a document as JSON, or it might be taken for what it says."""
    if type_ == "jsonb[]":
        return [None if item is None else json.dumps(item) for item in value]
    return json.dumps(value) if type_ in ("json", "jsonb") else value


@pytest.fixture
async def wide(reader_of: MakeReader, postgres_server: Embedded) -> Reader:
    return reader_of(postgres_server.dsn, {"results": {"cell": 1_000_000, "tokens": 1_000_000, "bytes": 10_000_000}})


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.fixed_dictionaries(EXPRESSIONS))
async def test_a_value_of_every_type_goes_to_json_and_back(wide: Reader, expressions: dict[str, str]) -> None:
    (values,) = await wide.rows(f"SELECT {', '.join(expressions.values())}")

    same = [equality(type_, expression, place) for place, (type_, expression) in enumerate(expressions.items(), 1)]
    sent = [as_sent(type_, value) for type_, value in zip(expressions, values, strict=True)]
    (answers,) = await wide.rows(f"SELECT {', '.join(same)}", *sent)
    json.dumps(values, allow_nan=False)
    compared = zip(expressions.values(), values, answers, strict=True)
    assert [(expression, value) for expression, value, answer in compared if answer is not True] == []
