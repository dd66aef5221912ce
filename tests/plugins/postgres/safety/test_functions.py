"""The functions a statement names are looked up in the database, and those that may change something are refused."""

import pytest
from tests.conftest import Database
from tests.plugins.postgres.conftest import Reader, execute

from pegboard import ToolError
from pegboard_postgres.safety import FunctionCache, check, check_change, check_functions

SETUP = (
    "CREATE FUNCTION touch() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE FUNCTION look() RETURNS int STABLE LANGUAGE sql AS 'SELECT 1'",
    "CREATE SCHEMA other",
    "CREATE FUNCTION other.touch_too() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE FUNCTION busy(int) RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE FUNCTION busy(int, int) RETURNS int STABLE LANGUAGE sql AS 'SELECT 1'",
    "CREATE FUNCTION random(int) RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE SEQUENCE ticket",
    "CREATE FUNCTION fits(text) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
    "CREATE DOMAIN word AS text CHECK (fits(VALUE))",
)


@pytest.fixture
async def shop(owner: Reader, postgres: Database) -> Reader:
    await execute(postgres.dsn, *SETUP)
    return owner


async def ask(shop: Reader, sql: str, *allow: str, cache: FunctionCache | None = None) -> None:
    database = await shop.pool()
    statement = check_change(sql) if sql.startswith("UPDATE") else check(sql)
    async with database.read() as connection:
        await check_functions(connection, statement, allow=allow, cache=cache)


async def test_a_volatile_function_is_refused_with_its_place_and_the_remedies(shop: Reader) -> None:
    with pytest.raises(ToolError) as caught:
        await ask(shop, "SELECT 'é',\n  touch()")

    assert str(caught.value) == (
        "sql runs public.touch, line 2, column 3: it is VOLATILE, so it may change something; if it only reads, its "
        "owner can say so (ALTER FUNCTION ... STABLE), or the operator can let it pass in the plugin's settings "
        '(allow_functions = ["public.touch"])'
    )


async def test_the_operator_can_let_a_function_pass(shop: Reader) -> None:
    await ask(shop, "SELECT touch()", "public.touch")
    await ask(shop, "SELECT setseed(0)", "pg_catalog.setseed")
    with pytest.raises(ToolError, match=r"other\.touch_too"):
        await ask(shop, "SELECT touch(), other.touch_too()", "public.touch", "touch_too")


async def test_overloads_are_told_apart_by_the_number_of_arguments(shop: Reader) -> None:
    await ask(shop, "SELECT busy(1, 2)")
    with pytest.raises(ToolError, match=r"public\.busy"):
        await ask(shop, "SELECT busy(1)")


async def test_a_function_of_ones_own_is_not_harmless_by_its_name(shop: Reader) -> None:
    await ask(shop, "SELECT random()")
    with pytest.raises(ToolError, match=r"public\.random"):
        await ask(shop, "SELECT random(1)")


async def test_what_is_not_on_the_search_path_is_not_meant(shop: Reader) -> None:
    await ask(shop, "SELECT touch_too()")  # an error, but not ours
    with pytest.raises(ToolError, match=r"other\.touch_too"):
        await ask(shop, "SELECT other.touch_too()")


async def test_a_change_may_run_the_databases_own_functions_but_not_what_reaches_beyond(shop: Reader) -> None:
    await ask(shop, "UPDATE account SET a = touch(), b = nextval('ticket')")
    await ask(shop, "EXPLAIN DELETE FROM account WHERE a = touch()")
    for function in ("pg_read_file('x')", "pg_terminate_backend(1)", "set_config('a', 'b', false)", "lo_import('x')"):
        with pytest.raises(ToolError, match="only what reads data is run here"):
            await ask(shop, f"UPDATE account SET a = {function}")


async def test_the_checks_of_a_type_are_run_even_by_a_plan(shop: Reader) -> None:
    await ask(shop, "UPDATE account SET a = '{x}'::word[]")
    for sql in ("EXPLAIN UPDATE account SET a = '{x}'::word[]", "SELECT pg_input_is_valid('{x}', 'public.word[]')"):
        with pytest.raises(ToolError, match=r"public\.fits \(by the type word\)"):
            await ask(shop, sql)
    with pytest.raises(ToolError, match=r"public\.fits"):
        await shop.call("postgres_explain", sql="INSERT INTO pg_class SELECT ('{x}'::word[])::text")
    with pytest.raises(ToolError, match="makes a value of any type"):
        await ask(shop, "SELECT pg_input_is_valid('{x}', 'wo' || 'rd[]')")
    await ask(shop, "SELECT pg_input_is_valid('1', 'numeric(5, 2)'), range_intersect_agg('[1,2)'::int4range)")


async def test_functions_are_looked_at_before_the_server_parses(shop: Reader, postgres: Database) -> None:
    await execute(
        postgres.dsn, "CREATE OR REPLACE FUNCTION fits(text) RETURNS boolean LANGUAGE sql AS 'SELECT 1 / 0 > 0'"
    )

    with pytest.raises(ToolError, match=r"public\.fits"):
        await shop.query("SELECT '{x}'::word[]")


async def test_a_function_that_is_replaced_is_seen_after_a_while(shop: Reader, postgres: Database) -> None:
    forgetful, trusting = FunctionCache(seconds=0), FunctionCache(seconds=60)
    for cache in (forgetful, trusting):
        await ask(shop, "SELECT look()", cache=cache)
    await execute(postgres.dsn, "CREATE OR REPLACE FUNCTION look() RETURNS int LANGUAGE sql AS 'SELECT 2'")

    await ask(shop, "SELECT look()", cache=trusting)
    with pytest.raises(ToolError, match=r"public\.look"):
        await ask(shop, "SELECT look()", cache=forgetful)


def test_a_cache_keeps_no_long_statement() -> None:
    cache = FunctionCache()
    statement = check(f"SELECT '{'x' * 20_000}'")
    cache.put(statement, [])

    assert cache.get(statement) is None


def test_a_cache_forgets_what_is_oldest() -> None:
    cache = FunctionCache(most=2)
    first, second, third = (check(f"SELECT {number}") for number in range(3))
    for statement in (first, second, third):
        cache.put(statement, [])

    assert [cache.get(statement) for statement in (first, second, third)] == [None, [], []]
