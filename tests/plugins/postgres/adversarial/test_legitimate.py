"""No false refusals: what reads is answered, however it is written."""

import anyio
import pytest
from tests.plugins.postgres.adversarial.analysts import NEWER_QUERIES, PARAMETERIZED, QUERIES
from tests.plugins.postgres.adversarial.conftest import asking, client_of
from tests.plugins.postgres.adversarial.engines import Bank
from tests.plugins.postgres.adversarial.legitimate import LEGITIMATE, NEWER

PARTS = 4


@pytest.mark.parametrize("part", range(PARTS))
async def test_a_legitimate_query_passes(bank: Bank, part: int) -> None:
    queries = LEGITIMATE + QUERIES + [sql for major, sql in NEWER + NEWER_QUERIES if bank.major >= major]
    refused: list[str] = []
    async with client_of(bank) as client:
        ask = asking(client)
        for sql in queries[part::PARTS]:
            with anyio.fail_after(20):
                is_error, answer = await ask(sql)
            if is_error:
                refused.append(f"{sql[:200]}\n-> {answer[:500]}")

    assert refused == []


async def test_a_legitimate_query_with_parameters_passes(bank: Bank) -> None:
    refused: list[str] = []
    async with client_of(bank) as client:
        for sql, params in PARAMETERIZED:
            result = await client.call_tool("postgres_query", {"sql": sql, "params": params})
            if result.is_error:
                refused.append(f"{sql}\n-> {result.content}")

    assert refused == []
