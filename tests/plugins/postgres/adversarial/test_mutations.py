"""No mutation of a hostile statement changes anything either."""

from collections.abc import AsyncGenerator, Callable

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.plugins.postgres.adversarial.conftest import Ask, asking, client_of
from tests.plugins.postgres.adversarial.engines import Bank, Watch, watched
from tests.plugins.postgres.adversarial.hostile import HOSTILE

SEEDS = [sql for group in HOSTILE.values() for sql, _ in group if len(sql) < 500]

SEPARATORS = [" ", "\n", "\t", "/**/", "/* ; */", "--\n", "\f", "\u00a0"]

FRAMES = [
    "{};",
    "({})",
    "SELECT 1; {}",
    "{}; SELECT 1",
    "EXPLAIN {}",
    "EXPLAIN ANALYZE {}",
    "EXPLAIN (ANALYZE, FORMAT JSON) {}",
    "WITH a AS ({}) SELECT * FROM a",
    "WITH a AS ({}) {}",
    "SELECT * FROM ({}) AS a",
    "SELECT ({})",
    "SELECT EXISTS ({})",
    "SELECT 1 UNION {}",
    "SELECT 1) AS q; {}; --",
    "/* {} */ {}",
    "SELECT $$ {} $$; {}",
    "SELECT '{}'",
    "COMMIT; {}",
]


def cased(sql: str, random: Callable[[], bool]) -> str:
    return "".join(letter.swapcase() if random() else letter for letter in sql)


def respaced(sql: str, separators: list[str]) -> str:
    words = sql.split(" ")
    return words[0] + "".join(separators[place % len(separators)] + word for place, word in enumerate(words[1:]))


def cut(sql: str, place: int, length: int) -> str:
    place %= len(sql) + 1
    return sql[:place] + sql[place + length :]


@st.composite
def mutations(draw: st.DrawFn) -> str:
    """A hostile statement: framed, spaced, cased, cut and mixed with another one."""
    sql = draw(st.sampled_from(SEEDS))
    if draw(st.booleans()):
        sql = respaced(sql, draw(st.lists(st.sampled_from(SEPARATORS), min_size=1, max_size=4)))
    if draw(st.booleans()):
        sql = cased(sql, lambda: draw(st.booleans())) if len(sql) < 80 else sql.upper()
    for frame in draw(st.lists(st.sampled_from(FRAMES), max_size=2)):
        other = draw(st.sampled_from([sql, *SEEDS]))
        sql = frame.replace("{}", sql, 1).replace("{}", other)
    if draw(st.booleans()):
        sql = cut(sql, draw(st.integers(0, 500)), draw(st.integers(1, 6)))
    return sql


@pytest.fixture(scope="module")
async def watch(bank: Bank) -> AsyncGenerator[Watch]:
    async with watched(bank) as watch:
        yield watch


@pytest.fixture(scope="module")
async def ask(bank: Bank) -> AsyncGenerator[Ask]:
    async with client_of(bank) as client:
        yield asking(client)


@settings(max_examples=300, deadline=None)
@given(sql=mutations())
async def test_no_mutation_leaves_a_trace(watch: Watch, ask: Ask, sql: str) -> None:
    """S-14."""
    before = await watch.state()

    with anyio.fail_after(20):
        await ask(sql.replace("{file}", str(watch.bank.file)))

    assert await watch.state() == before
