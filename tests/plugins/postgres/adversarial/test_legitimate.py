"""No false refusals: what reads is answered, however it is written."""

import anyio
import pytest
from tests.plugins.postgres.adversarial.conftest import asking, client_of
from tests.plugins.postgres.adversarial.engines import Bank
from tests.plugins.postgres.adversarial.legitimate import LEGITIMATE, NEWER

PARTS = 4


@pytest.mark.parametrize("part", range(PARTS))
async def test_a_legitimate_query_passes(bank: Bank, part: int) -> None:
    queries = LEGITIMATE + [sql for major, sql in NEWER if bank.major >= major]
    refused: list[str] = []
    async with client_of(bank) as client:
        ask = asking(client)
        for sql in queries[part::PARTS]:
            with anyio.fail_after(20):
                is_error, answer = await ask(sql)
            if is_error:
                refused.append(f"{sql[:200]}\n-> {answer[:500]}")

    assert refused == []
