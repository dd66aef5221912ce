"""Nothing a caller writes changes anything, even where the operator has made every mistake: a superuser reads."""

import re

import anyio
import pytest
from tests.plugins.postgres.adversarial.conftest import asking, client_of
from tests.plugins.postgres.adversarial.engines import Bank, watched
from tests.plugins.postgres.adversarial.hostile import HOSTILE
from tests.plugins.postgres.adversarial.less_obvious import LESS_OBVIOUS

ALL = {**HOSTILE, **LESS_OBVIOUS}


@pytest.mark.parametrize("technique", ALL)
async def test_a_hostile_statement_is_refused_and_leaves_no_trace(bank: Bank, technique: str) -> None:
    """S-14: the contents of every table, the catalogs and the files are as before."""
    surprises: list[str] = []
    async with watched(bank) as watch, client_of(bank) as client:
        ask = asking(client)
        before, defined = await watch.state(), await watch.catalogs()

        for hostile, expected in ALL[technique]:
            sql = hostile.replace("{file}", str(bank.file))
            with anyio.fail_after(20):
                is_error, answer = await ask(sql)
            if is_error != bool(expected) or not re.search(expected, answer):
                surprises.append(f"{sql[:200]}\n-> {answer[:500]}")
            if (after := await watch.state()) != before:
                surprises.append(f"{sql[:200]}\n-> {before}\n-> {after}")
                before = after
        undefined = await watch.catalogs()

    assert surprises == []
    assert undefined == defined
