"""Parameters: natural JSON values become whatever type the place wants."""

from typing import Any

import pytest
from tests.conftest import Database
from tests.plugins.postgres.conftest import Reader, execute

from pegboard import ToolError

UUID = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"

PARAMETERS: list[tuple[str, Any, Any]] = [
    ("$1 + 1", 5, 6),
    ("$1 + 1", "5", 6),
    ("$1 + 1", 5.0, 6),
    ("$1::int8", 9007199254740993, "9007199254740993"),
    ("$1::numeric * 2", 1.25, "2.50"),
    ("$1::numeric", "1e400", "1" + "0" * 400),
    ("$1::float8", 0.1, 0.1),
    ("$1::text", 5, "5"),
    ("$1::text", "5", "5"),
    ("$1", "it's", "it's"),
    ("$1::text", True, "true"),
    ("NOT $1", True, False),
    ("NOT $1", "false", True),
    ("$1::date + 1", "2024-02-28", "2024-02-29"),
    ("$1::date", "infinity", "infinity"),
    ("$1::timestamptz", "2024-01-01T00:00:00Z", "2024-01-01T00:00:00+00:00"),
    ("'2024-01-31'::date + $1::interval", "1 month", "2024-02-29T00:00:00"),
    ("$1::uuid", UUID, UUID),
    ("2 = ANY($1)", [1, 2], True),
    ("2 = ANY($1)", "[1, 2]", True),
    ("2 = ANY($1)", "{1,2}", True),
    ("$1::text[]", ["a", None, 'b,"c', "NULL", "\\", 1], ["a", None, 'b,"c', "NULL", "\\", "1"]),
    ("$1::int[]", [[1, 2], [3, None]], [[1, 2], [3, None]]),
    ("$1::int[]", [], []),
    ("$1::jsonb", {"a": [1, "x"]}, {"a": [1, "x"]}),
    ("$1::jsonb", '{"a": 1}', {"a": 1}),
    ("$1::jsonb", "plain words", "plain words"),
    ("$1::jsonb", 1.5, 1.5),
    ("$1::jsonb", [1, 2], [1, 2]),
    ("$1::jsonb", "null", None),
    ("$1::jsonb[]", [{"a": [1]}, "x", '"5"', None, [1, 2]], [{"a": [1]}, "x", "5", None, [1, 2]]),
    ("$1::int", None, None),
    ("$1::inet", "10.0.0.1", "10.0.0.1"),
    ("$1::int4range", "[1,3)", "[1,3)"),
    ("$1::bit(4)", "0101", "0101"),
    ('$1::"char"', "x", "x"),
    ("$1::bytea", "\\xff", "\\xff"),
]


@pytest.mark.parametrize(("expression", "value", "expected"), PARAMETERS)
async def test_a_json_value_becomes_what_its_place_wants(
    reader: Reader, expression: str, value: Any, expected: Any
) -> None:
    assert await reader.value(f"SELECT {expression}", value) == expected


async def test_parameters_work_where_no_expression_stands_alone(owner: Reader, postgres: Database) -> None:
    await execute(
        postgres.dsn,
        "CREATE TYPE mood AS ENUM ('sad', 'happy')",
        'CREATE TYPE "odd ""type" AS (x int)',
        "CREATE TABLE diary AS SELECT n AS id, 'happy'::mood AS mood FROM generate_series(1, 9) AS n",
    )

    assert await owner.rows("SELECT id FROM diary ORDER BY id LIMIT $1 OFFSET $2", "2", 3) == [[4], [5]]
    assert await owner.value("SELECT count(*) FROM diary WHERE mood = $1 AND id IN ($2, $3)", "happy", 1, "2") == 2
    assert await owner.value('SELECT ($1::"odd ""type").x', "(7)") == 7
    assert await owner.value("WITH x AS (SELECT $1::int[] AS a) SELECT a[$2] FROM x", [5, 6], 2) == 6


async def test_a_parameter_in_a_string_or_a_comment_is_left_alone(reader: Reader) -> None:
    assert await reader.rows("SELECT '$2', $$ $3 $$, $1::int -- $4\n", 1) == [["$2", " $3 ", 1]]


@pytest.mark.parametrize(
    ("sql", "params", "message"),
    [
        ("SELECT 1", [1], "no parameters .* 1 value"),
        ("SELECT $1::int", [], "1 parameter .* 0 values"),
        ("SELECT $1::int + $2", [1], "2 parameters .* 1 value"),
        ("SELECT $2::int", [1], r"\$1"),
        ("SELECT $1 IS NULL", [1], r"write the type of the parameter, as in \$1::int"),
        ("SELECT $1::int", ["many"], 'invalid input syntax for type integer: "many" .22P02.'),
        ("SELECT $1::int[]", ["1"], "malformed array literal"),
        ("SELECT $99999999999999999999", [1], "PostgreSQL says"),
    ],
)
async def test_parameters_that_do_not_fit_are_explained(
    reader: Reader, sql: str, params: list[Any], message: str
) -> None:
    with pytest.raises(ToolError, match=message):
        await reader.query(sql, *params)


async def test_a_value_cannot_become_sql(reader: Reader) -> None:
    hostile = "'); DROP TABLE x; --"

    assert await reader.value("SELECT $1::text", hostile) == hostile
