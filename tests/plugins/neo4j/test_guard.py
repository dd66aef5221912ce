"""The guard alone: what it lets pass, what it refuses, and what it says."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.plugins.neo4j.adversarial.inputs import LEGITIMATE

from pegboard import ToolError
from pegboard_neo4j.guard import check
from pegboard_neo4j.procedures import Allowed
from pegboard_neo4j.tokens import tokenize
from pegboard_neo4j.words import REFUSED, WRITES


def refusal(cypher: str, *allowed: str) -> str:
    with pytest.raises(ToolError) as raised:
        check(cypher, Allowed.of(allowed))
    return str(raised.value)


def test_a_refusal_names_the_word_the_place_and_the_remedy() -> None:
    assert refusal("MATCH (n)\n  SET n.x = 1") == (
        "cypher has SET at line 2, column 3: this tool only reads; if it is a name, write it in backticks"
    )


def test_a_name_in_backticks_is_never_a_clause() -> None:
    assert check("MATCH (`set`:`Create`) RETURN `set`.`delete` AS `merge`")


def test_the_semicolon_at_the_end_is_not_sent() -> None:
    assert check("RETURN 1 ; ;").text == "RETURN 1"


def test_the_mode_is_told_apart_from_the_statement() -> None:
    statement = check("CYPHER 5 runtime=slotted EXPLAIN MATCH (n) RETURN n;")

    assert (statement.mode, statement.keyword) == ("EXPLAIN", "MATCH")
    assert statement.body.split() == ["CYPHER", "5", "runtime=slotted", "MATCH", "(n)", "RETURN", "n"]


def test_the_parts_of_apoc_that_read_are_opted_in_by_one_word() -> None:
    assert "not on the list" in refusal("RETURN apoc.text.join(['a'], ',')")

    assert check("RETURN apoc.text.join(['a'], ',')", Allowed.of(["apoc"]))
    assert check("CALL apoc.meta.schema() YIELD value RETURN value", Allowed.of(["apoc"]))


@pytest.mark.parametrize(
    "name",
    [
        "apoc.cypher.run", "apoc.cypher.doIt", "apoc.create.node", "apoc.merge.node", "apoc.refactor.mergeNodes",
        "apoc.load.json", "apoc.load.csv", "apoc.import.json", "apoc.export.csv.all", "apoc.periodic.iterate",
        "apoc.trigger.install", "apoc.util.sleep", "apoc.lock.nodes", "apoc.nodes.delete", "apoc.do.when", "apoc.when",
        "apoc.case", "apoc.convert.setJsonProperty", "apoc.config.list", "apoc.static.get", "apoc.schema.assert",
        "apoc.atomic.add", "apoc.uuid.install", "apoc.systemdb.graph", "apoc.warmup.run", "apoc.nodes.link",
    ],
)  # fmt: skip
def test_the_rest_of_apoc_stays_out(name: str) -> None:
    assert "not on the list" in refusal(f"CALL {name}()", "apoc")
    assert "not on the list" in refusal(f"RETURN {name}()", "apoc")


def test_a_pattern_allows_what_it_matches_and_nothing_else() -> None:
    assert check("CALL gds.pageRank.stream('g') YIELD nodeId RETURN nodeId", Allowed.of(["gds.*.stream"]))
    assert "not on the list" in refusal("CALL gds.pageRank.write('g')", "gds.*.stream")


@given(st.text())
def test_any_text_is_either_a_statement_or_refused_with_a_sentence(text: str) -> None:
    try:
        statement = check(text)
    except ToolError as error:
        said = str(error)
    else:
        said = f"cypher {statement.text}"
        assert statement.text in text
    assert said.startswith("cypher ")


SIGNS = "'\"`/*\\u0027\n\r ;(){}[]:.|&!$,=x1"
ALPHABET = st.sampled_from([*SIGNS, "CREATE", "SET", "MATCH", "(n)", "//", "/*", "*/"])


@given(st.lists(ALPHABET, max_size=12).map("".join))
def test_tokens_are_the_text_without_spaces_and_comments(text: str) -> None:
    try:
        tokens = tokenize(text)
    except ToolError:
        return
    assert all(text[token.start : token.end] == token.text for token in tokens)
    assert [token.start for token in tokens] == sorted(token.start for token in tokens)


READS = st.sampled_from([cypher for cypher, _ in LEGITIMATE if not cypher.rstrip().endswith((";", "DELETE"))])


@given(READS, st.sampled_from(sorted(WRITES)), st.sampled_from([" ", "\n", "\t", "/**/", "\u00a0", " /* x */ "]))
def test_no_write_behind_a_read_gets_through(read: str, word: str, space: str) -> None:
    with pytest.raises(ToolError):
        check(f"{read}\n{word}{space}(n)")


@given(READS, st.sampled_from(sorted(WRITES)), st.data())
def test_no_write_between_the_tokens_of_a_read_gets_through(read: str, word: str, data: st.DataObject) -> None:
    tokens = tokenize(read)
    after = data.draw(st.sampled_from([token for token in tokens if token.text not in (*":.|&!$,{", "AS")]))

    with pytest.raises(ToolError):
        check(f"{read[: after.end]} {word} {read[after.end :]}")


def test_a_statement_of_many_tokens_is_looked_at_in_little_time() -> None:
    began = time.process_time()
    check("RETURN " + " + ".join(["n.x"] * 2400))

    assert time.process_time() - began < 0.5


@pytest.mark.parametrize("word", sorted(WRITES | REFUSED))
def test_a_word_that_writes_can_be_the_name_of_a_column(word: str) -> None:
    for value in ("n.name", "count(n)", "1", "'a'", "[1]", "{a: 1}", "`a b`", "n.as"):
        assert check(f"MATCH (n) RETURN {value} AS {word}")
    for value in ("1 AS as", "$as", "n.as", "as"):
        assert f"cypher has {word}" in refusal(f"MATCH (n) WITH {value} {word} x")
