"""Values of every kind arrive without loss."""

import json
from typing import Any

import pytest
from tests.conftest import Database
from tests.plugins.postgres.conftest import MakeReader, Reader, execute

from pegboard import ToolError
from pegboard_postgres.embedded import Embedded

BIG = "1" + "0" * 400

VALUES: list[tuple[str, Any]] = [
    ("NULL", None),
    ("true", True),
    ("1::int2", 1),
    ("9007199254740992::int8", 9007199254740992),
    ("9007199254740993::int8", "9007199254740993"),
    ("(-9223372036854775808)::int8", "-9223372036854775808"),
    ("1::numeric", "1"),
    ("1.50::numeric", "1.50"),
    ("0.0000000000000000000001::numeric", "0.0000000000000000000001"),
    ("'NaN'::numeric", "NaN"),
    ("'-Infinity'::numeric", "-Infinity"),
    ("1e400::numeric", BIG),
    ("repeat('9', 6000)::numeric", "9" * 2000 + "…(+4000 chars)"),
    ("ARRAY[1.10, NULL, 'NaN']::numeric[]", ["1.10", None, "NaN"]),
    ("0.1::float8", 0.1),
    ("0.1::float4", 0.1),
    ("1e300::float8", 1e300),
    ("1.2345678901234567e-300::float8", 1.2345678901234567e-300),
    ("'NaN'::float8", "NaN"),
    ("'-Infinity'::float4", "-Infinity"),
    ("12.34::money", "$12.34"),
    ("'é…\U0001f418'::text", "é…\U0001f418"),
    ("'a'::char(3)", "a  "),
    ("'\\xdeadbeef'::bytea", "\\xdeadbeef"),
    ("''::bytea", "\\x"),
    ("'2024-02-29'::date", "2024-02-29"),
    ("'infinity'::date", "infinity"),
    ("'0044-03-15 BC'::date", "0044-03-15 BC"),
    ("'5874897-12-31'::date", "5874897-12-31"),
    ("'-infinity'::timestamptz", "-infinity"),
    ("'2024-01-02 03:04:05.678901+02'::timestamptz", "2024-01-02T01:04:05.678901+00:00"),
    ("'4713-01-01 00:00 BC'::timestamp", "4713-01-01T00:00:00 BC"),
    ("'24:00'::time", "24:00:00"),
    ("'12:00+02'::timetz", "12:00:00+02"),
    ("'1 year 2 mons -3 days 04:05:06.7'::interval", "1 year 2 mons -3 days +04:05:06.7"),
    ("'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    ("ARRAY[[1,NULL],[3,4]]", [[1, None], [3, 4]]),
    ("'{}'::int[]", []),
    ("ARRAY['a', NULL, 'NULL', '{}', '\"']", ["a", None, "NULL", "{}", '"']),
    ("ARRAY['2024-01-01'::date]", ["2024-01-01"]),
    ("int4range(1, 5)", "[1,5)"),
    ("numrange(1.10, NULL)", "[1.10,)"),
    ("'empty'::daterange", "empty"),
    ("tstzrange('2024-01-01+00', 'infinity')", '["2024-01-01 00:00:00+00",infinity)'),
    ("'{[1,2),[4,5)}'::int4multirange", "{[1,2),[4,5)}"),
    (
        '\'{"a": 1e400, "b": 12345678901234567890, "c": 0.1, "d": [1.0, null, "x"]}\'::jsonb',
        {"a": BIG, "b": "12345678901234567890", "c": 0.1, "d": [1.0, None, "x"]},
    ),
    ("'0.1000000000000000000001'::jsonb", "0.1000000000000000000001"),
    ("'null'::jsonb", None),
    ("'[1, 2]'::json", [1, 2]),
    ("'\"\\ud800\"'::json", "?"),
    ("'10.0.0.1/8'::inet", "10.0.0.1/8"),
    ("'08:00:2b:01:02:03'::macaddr", "08:00:2b:01:02:03"),
    ("B'0101'", "0101"),
    ("'a & b'::tsquery", "'a' & 'b'"),
    ("to_tsvector('simple', 'b a')", "'a':2 'b':1"),
    ("point(1, 2)", "(1,2)"),
    ("ROW(1, '2024-01-02'::date, ROW('x'))", {"f1": 1, "f2": "2024-01-02", "f3": {"f1": "x"}}),
    ("'pg_class'::regclass", "pg_class"),
    ("12::oid", "12"),
    ("'/etc'::name", "/etc"),
    ("pg_sleep(0)", ""),
    ("'0/16B3748'::pg_lsn", "0/16B3748"),
]


@pytest.mark.parametrize(("expression", "expected"), VALUES, ids=[sql[:40] for sql, _ in VALUES])
async def test_a_value_arrives_as_postgresql_has_it(reader: Reader, expression: str, expected: Any) -> None:
    value = await reader.value(f"SELECT {expression}")

    assert (value, type(value)) == (expected, type(expected))


async def test_a_negative_zero_keeps_its_sign(reader: Reader) -> None:
    assert str(await reader.value("SELECT '-0'::float8")) == "-0.0"


async def test_columns_of_one_name_both_arrive(reader: Reader) -> None:
    result = await reader.query("SELECT 1 AS a, 'x' AS a, 2.0 AS \"A\"")

    assert result["columns"] == [
        {"name": "a", "type": "int4"},
        {"name": "a", "type": "text"},
        {"name": "A", "type": "numeric"},
    ]
    assert result["rows"] == [[1, "x", "2.0"]]


async def test_types_of_the_database_itself_arrive(owner: Reader, postgres: Database) -> None:
    await execute(
        postgres.dsn,
        "CREATE TYPE mood AS ENUM ('sad', 'happy')",
        "CREATE TYPE pair AS (mood mood, since date)",
        "CREATE DOMAIN price AS numeric CHECK (VALUE > 0)",
        "CREATE TABLE diary (id int, mood mood, moods mood[], pair pair, price price)",
        "INSERT INTO diary VALUES (1, 'happy', '{sad,happy}', ('sad', '2024-01-02'), 1.50)",
    )

    result = await owner.query("SELECT mood, moods, pair, price, diary FROM diary")

    assert [column["type"] for column in result["columns"]] == ["mood", "mood[]", "pair", "numeric", "diary"]
    mood, moods, pair, price, row = result["rows"][0]
    assert (mood, moods, pair, price) == ("happy", ["sad", "happy"], {"mood": "sad", "since": "2024-01-02"}, "1.50")
    assert row == {"id": 1, "mood": mood, "moods": moods, "pair": pair, "price": 1.5}


async def test_vectors_arrive_as_text(owner: Reader, postgres: Database) -> None:
    await execute(postgres.admin_dsn, "CREATE EXTENSION vector")

    assert await owner.value("SELECT '[1,2.5]'::vector") == "[1,2.5]"


async def test_the_preferences_of_a_role_do_not_change_how_values_look(owner: Reader, postgres: Database) -> None:
    for setting in ("datestyle = 'German'", "intervalstyle = 'iso_8601'", "bytea_output = 'escape'"):
        await execute(postgres.admin_dsn, f"ALTER ROLE {postgres.name} SET {setting}")

    row = await owner.rows("SELECT daterange('2024-01-31', NULL), '1 day'::interval, '\\x00'::bytea")

    assert row == [["[2024-01-31,)", "1 day", "\\x00"]]


async def test_statistics_with_arrays_of_any_type_can_be_read(reader: Reader) -> None:
    result = await reader.query("SELECT most_common_vals FROM pg_stats LIMIT 1")

    assert result["columns"] == [{"name": "most_common_vals", "type": "anyarray"}]


async def test_a_type_the_driver_cannot_name_is_refused_with_a_way_out(reader: Reader) -> None:
    with pytest.raises(ToolError, match=r"row_to_json"):
        await reader.query("SELECT t FROM pg_class AS t LIMIT 1")
    assert (await reader.value("SELECT row_to_json(t) FROM pg_class AS t WHERE relname = 'pg_proc'"))["relkind"] == "r"


async def test_json_nested_deeper_than_clients_can_read_becomes_text(
    reader: Reader, reader_of: MakeReader, postgres_server: Embedded
) -> None:
    too_wide = reader_of(postgres_server.dsn, {"results": {"cell": 1_000_000}})
    value = await reader.value("SELECT (repeat('[', 500) || repeat(']', 500))::jsonb")

    assert json.dumps(value) == "[" * 30 + '"' + "[" * 470 + "]" * 470 + '"' + "]" * 30
    with pytest.raises(ToolError, match="nested too deeply"):
        await too_wide.value("SELECT (repeat('[', 5000) || repeat(']', 5000))::jsonb")


async def test_a_plan_in_json_is_a_value_and_may_be_long(reader: Reader) -> None:
    plan = await reader.value("EXPLAIN (FORMAT JSON, VERBOSE) SELECT * FROM pg_class JOIN pg_attribute ON attrelid = 1")

    assert plan[0]["Plan"]["Node Type"]


async def test_explain_and_show_answer_as_they_are(reader: Reader) -> None:
    assert "Result" in await reader.value("EXPLAIN SELECT $1::int", 1)
    assert await reader.value("SHOW transaction_read_only") == "on"
