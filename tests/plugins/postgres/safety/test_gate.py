"""What the parse gate lets through, what it says about the rest, and where."""

import time
from importlib import import_module

import pytest
from tests.plugins.postgres.adversarial.hostile import HOSTILE
from tests.plugins.postgres.adversarial.legitimate import LEGITIMATE

from pegboard import ToolError
from pegboard_postgres.safety import check, check_change, gate, tree


@pytest.mark.parametrize(
    ("sql", "keyword"),
    [
        ("SELECT 1", "SELECT"),
        ("/* a /* nested */ comment */ -- and another\n\tValues (1)", "VALUES"),
        ("TABLE pg_class", "SELECT"),
        ("WITH x AS (SELECT 1) SELECT * FROM x", "SELECT"),
        ("((SELECT 1) UNION (SELECT 2))", "SELECT"),
        ("EXPLAIN (FORMAT JSON) SELECT 1", "EXPLAIN"),
        ("show work_mem", "SHOW"),
    ],
)
def test_statements_that_read_are_known_by_a_keyword(sql: str, keyword: str) -> None:
    statement = check(sql)

    assert statement.keyword == keyword
    assert statement.is_query == (keyword in ("SELECT", "VALUES"))


@pytest.mark.parametrize("sql", ["SELECT ';'", r"SELECT E'\';'", 'SELECT 1 AS ";"', "SELECT $$;$$", "SELECT 1 /* ; */"])
@pytest.mark.parametrize("end", ["", ";", " ; ", ";;", "; -- bye", ";/* bye; */\n"])
@pytest.mark.parametrize("beginning", ["", ";", " ; ;"])
def test_only_semicolons_around_a_statement_are_cut(beginning: str, sql: str, end: str) -> None:
    assert check(f"{beginning}{sql}{end}").text.strip() == sql


@pytest.mark.parametrize("sql", ["", "  ", ";", ";;", "-- nothing", "/* nothing */;"])
def test_an_empty_statement_is_refused(sql: str) -> None:
    with pytest.raises(ToolError, match="empty"):
        check(sql)


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT 1,\n  FORM t WHERE", r"syntax error at end of input \(42601, line 2, column 15\)"),
        ("SELECT 'é', FROM t", r'at or near "FROM" \(42601, line 1, column 13\)'),
        ("SELECT 1\n INTO x", r"SELECT INTO makes a table \(line 2, column 7\)"),
        (
            "WITH é AS (DELETE FROM x RETURNING 1) TABLE é",
            r"DELETE in a WITH clause changes rows \(line 1, column 24\)",
        ),
    ],
)
def test_a_refusal_says_where(sql: str, message: str) -> None:
    with pytest.raises(ToolError, match=message):
        check(sql)


def test_a_long_complaint_is_shortened() -> None:
    with pytest.raises(ToolError) as caught:
        check("SELECT '" + "x" * 50_000)

    assert len(str(caught.value)) < 300


def test_parameters_are_found_outside_of_strings_names_and_comments() -> None:
    sql = """SELECT 'é', $1, '$2', "$3", $$ $4 $$, a$5, /* $6 */ $10 -- $7"""

    parameters = check(sql).parameters

    assert [(parameter.text, parameter.number) for parameter in parameters] == [("$1", 1), ("$10", 10)]
    assert [sql[parameter.start : parameter.end] for parameter in parameters] == ["$1", "$10"]


@pytest.mark.parametrize(
    ("sql", "explained"),
    [
        ("EXPLAIN SELECT $1", "SELECT $1"),
        ("EXPLAIN (SELECT 1)", "(SELECT 1)"),
        ("EXPLAIN ANALYZE VERBOSE (SELECT 1);", "(SELECT 1)"),
        ("EXPLAIN (ANALYZE, FORMAT JSON) VALUES (1)", "VALUES (1)"),
        ("EXPLAIN /* ( */ (COSTS off) -- )\n TABLE t", "TABLE t"),
        ("EXPLAIN DELETE FROM t", "DELETE FROM t"),
    ],
)
def test_the_statement_that_explain_is_about_is_known(sql: str, explained: str) -> None:
    statement = check(sql)

    assert statement.is_explain
    assert statement.explained is not None
    assert statement.explained.text == explained
    assert statement.is_change == explained.startswith("DELETE")
    assert statement.query == (statement.explained if "ANALYZE" in sql else None)


@pytest.mark.parametrize("keyword", ["INSERT", "UPDATE", "DELETE", "MERGE"])
def test_a_change_is_known_by_its_keyword(keyword: str) -> None:
    sql = {
        "INSERT": "WITH a AS (SELECT 1) INSERT INTO t SELECT * FROM a RETURNING *",
        "UPDATE": "UPDATE t SET a = $1",
        "DELETE": "DELETE FROM t",
        "MERGE": "MERGE INTO t USING s ON true WHEN MATCHED THEN DELETE",
    }[keyword]

    statement = check_change(f"{sql};")

    assert (statement.text, statement.keyword, statement.is_change, statement.is_query) == (sql, keyword, True, False)


@pytest.mark.parametrize("sql", ["SELECT 1", "DROP TABLE t", "COPY t TO STDOUT", "TRUNCATE t"])
def test_what_changes_no_rows_is_no_change(sql: str) -> None:
    with pytest.raises(ToolError, match="write one INSERT, UPDATE, DELETE or MERGE"):
        check_change(sql)


@pytest.mark.parametrize("piece", ["$a{} ", "'", '"', "E'\\'", "$$", "(", "a$", "/*", "*/", "+1", "::int", "[1]", "- "])
def test_hostile_text_ends_in_a_clean_error_and_not_in_a_crash(piece: str) -> None:
    for beginning in ("SELECT ", "SELECT 1", "SELECT '", "SELECT /*"):
        sql = beginning + "".join(piece.replace("{}", str(number)) for number in range(90_000 // len(piece)))[:99_000]
        try:
            assert check(sql).keyword == "SELECT"
        except ToolError as error:
            assert len(str(error)) < 400  # noqa: PT017 # some are strings that end well


def test_a_statement_is_parsed_once() -> None:
    sql = "SELECT 'this one is only here'"

    assert check(sql) is check(sql)


def test_the_parser_of_machines_without_pgparse_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    statements = [*LEGITIMATE, *(sql for group in HOSTILE.values() for sql, _ in group)]
    known = [verdict(sql) for sql in statements]
    postgast = import_module("postgast")
    monkeypatch.setattr(tree, "_parser", lambda: tree._with_postgast(postgast))  # pyright: ignore[reportPrivateUsage]

    surprises = [sql for sql, before in zip(statements, known, strict=True) if differs(before, verdict(sql))]

    assert surprises == []


def verdict(sql: str) -> str:
    """What the gate says, without what it remembers: what the statement is and names, or the first words of a no."""
    try:
        statement = gate._check(sql)  # pyright: ignore[reportPrivateUsage]
    except ToolError as error:
        return str(error).split(" (")[0]
    names = sorted(map(str, statement.names))
    return f"{statement.keyword} {statement.is_change} {statement.analyzes} {len(statement.parameters)} {names}"


def differs(before: str, after: str) -> bool:
    return after != before and "too deeply" not in after


def test_a_statement_of_many_words_and_values_is_looked_at_in_little_time() -> None:
    began = time.process_time()
    check(f"SELECT * FROM t WHERE id IN ({', '.join(['0'] * 14_000)})")
    check("SELECT 1 WHERE " + " AND ".join(["x = 1"] * 3_000))
    with pytest.raises(ToolError, match="more than 15000 commas and brackets; pass long lists as one array in params"):
        check(f"SELECT * FROM t WHERE id IN ({', '.join(['0'] * 30_000)})")

    assert time.process_time() - began < 1


def test_commas_in_strings_do_not_count() -> None:
    assert check(f"SELECT '{',(' * 20_000}'")


@pytest.mark.parametrize("table", ["pg_authid", "pg_catalog.pg_shadow", '"pg_user_mappings"', "pg_hba_file_rules"])
def test_what_only_the_administrator_should_see_is_refused(table: str) -> None:
    with pytest.raises(ToolError, match=r"\(line 1, column 15\) (holds the passwords|reads files)"):
        check(f"SELECT * FROM {table}")


def test_a_table_of_ones_own_may_have_the_name() -> None:
    assert check("SELECT * FROM mine.pg_shadow")
    assert check("SELECT pg_shadow FROM t")
