"""What counts as one statement that reads, and where it ends."""

import pytest

from pegboard import ToolError
from pegboard_postgres.statement import parse


@pytest.mark.parametrize(
    ("sql", "keyword"),
    [
        ("SELECT 1", "SELECT"),
        ("  select 1", "SELECT"),
        ("/* a /* nested */ comment */ -- and another\n\tValues (1)", "VALUES"),
        ("TABLE pg_class", "TABLE"),
        ("WITH x AS (SELECT 1) SELECT * FROM x", "WITH"),
        ("((SELECT 1) UNION (SELECT 2))", "SELECT"),
        ("( /* c */ values (1))", "VALUES"),
        ("EXPLAIN (FORMAT JSON) SELECT 1", "EXPLAIN"),
        ("show work_mem", "SHOW"),
    ],
)
def test_statements_that_read_are_known_by_their_first_word(sql: str, keyword: str) -> None:
    assert parse(sql).keyword == keyword


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT ';'",
        "SELECT ''';'",
        r"SELECT E'\';'",
        r"SELECT e'\\', ';'",
        'SELECT 1 AS ";"',
        'SELECT 1 AS "a"";"',
        "SELECT $$;$$",
        "SELECT $a$ $$ ; $b$ $a$",
        "SELECT 1 /* ; /* ; */ ; */",
        "SELECT 1 -- ;",
        "SELECT 'a\\', 'b;'",
        "SELECT foo$1$ FROM t",
        "SELECT U&'\\0041;'",
    ],
)
@pytest.mark.parametrize("end", ["", ";", " ; ", ";;", "; -- bye", ";/* bye; */\n"])
def test_only_a_semicolon_at_the_end_is_cut(sql: str, end: str) -> None:
    newline = "\n" if "--" in sql else ""
    assert parse(f"{sql}{newline}{end}").text.strip() == sql


@pytest.mark.parametrize("sql", ["", "  ", ";", ";;", "-- nothing", "/* nothing */;", "/* not closed"])
def test_an_empty_statement_is_refused(sql: str) -> None:
    with pytest.raises(ToolError, match="empty"):
        parse(sql)


@pytest.mark.parametrize("sql", ["SELECT 1; SELECT 2", "SELECT 1;; DROP TABLE t", "SELECT '';'' ; SELECT 1"])
def test_a_second_statement_is_refused(sql: str) -> None:
    with pytest.raises(ToolError, match="more than one statement"):
        parse(sql)


REFUSED = """INSERT UPDATE DELETE MERGE COPY CALL DO LOCK LISTEN NOTIFY UNLISTEN PREPARE EXECUTE DEALLOCATE DECLARE
FETCH MOVE CLOSE VACUUM ANALYZE CLUSTER REINDEX CHECKPOINT LOAD SET RESET DISCARD BEGIN START COMMIT END ROLLBACK ABORT
SAVEPOINT RELEASE CREATE ALTER DROP TRUNCATE GRANT REVOKE COMMENT SECURITY REFRESH IMPORT REASSIGN
(COPY (EXPLAIN "SELECT" 'SELECT' $1 1 * \\copy SELECTED FROM"""


@pytest.mark.parametrize("sql", REFUSED.split())
def test_a_statement_that_begins_with_another_word_is_refused(sql: str) -> None:
    with pytest.raises(ToolError, match="only statements that read"):
        parse(f"{sql} x")


@pytest.mark.parametrize("sql", ["SELECT '\0'", "SELECT '\ud800'"])
def test_characters_postgresql_cannot_read_are_refused(sql: str) -> None:
    with pytest.raises(ToolError, match="character"):
        parse(sql)


def test_parameters_are_found_outside_of_strings_names_and_comments() -> None:
    statement = parse("""SELECT $1, '$2', "$3", $$ $4 $$, a$5, /* $6 */ $10 -- $7""")

    assert [token.text for token in statement.parameters] == ["$1", "$10"]


@pytest.mark.parametrize("piece", ["$a{}$ ", "'", '"', "/*", "E'\\'", "$$", "(", "a$"])
def test_hostile_text_is_cut_in_linear_time(piece: str) -> None:
    sql = "SELECT " + "".join(piece.format(number) for number in range(20_000))

    assert parse(sql).keyword == "SELECT"
