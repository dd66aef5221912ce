"""Anything at all as the arguments of every tool we bring: an answer or a sentence, never a crash, never a secret.

AWX answers from its double, Qdrant from its embedded engine, PostgreSQL for real; nobody listens where Neo4j should be.
`PEGBOARD_FUZZ=50000 pytest tests/security/test_fuzz_arguments.py` looks for longer.
"""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from tests.conftest import Embedded
from tests.security.asgi import Site, site
from tests.security.catalog import AWAY, catalog
from tests.security.log import Written, written
from tests.security.shapes import EXAMPLES, MARK, arguments_of
from tests.system.wire import Json

import pegboard_awx
import pegboard_neo4j
import pegboard_postgres
import pegboard_qdrant
from pegboard.builtin import HubPlugin
from pegboard.testing import hub_of
from pegboard_awx.double import Double, serving
from pegboard_awx.groups import local_playbooks, local_projects

SECRET = "fuzz-canary-5e1d"
DEADLINE = {"pegboard/deadline": 1}
"""Of each call, whatever its tool says: some wait for jobs."""

SOME = ["*", "1", "Hello", "Nightly backup", "places", "crowd", "public.customer", "SELECT 1", "RETURN 1", "admin"]
"""Names of things that are there, so that not every call ends at the first look."""


@dataclass(frozen=True)
class Attacked:
    site: Site
    log: Written


@cache
def schemas() -> Mapping[str, Mapping[str, Any]]:
    """What each tool takes; without those that would run Ansible on this machine."""
    tools = anyio.run(catalog)["tools"]
    local = {f"awx_{tool.__name__}" for group in (local_playbooks.GROUP, local_projects.GROUP) for tool in group.tools}
    return {name: tools[name]["inputSchema"] for name in sorted(set(tools) - local)}


@st.composite
def calls(draw: st.DrawFn) -> Json:
    name = draw(st.sampled_from(list(schemas())))
    return {"name": name, "arguments": draw(arguments_of(schemas()[name], SOME)), "_meta": DEADLINE}


@pytest.fixture(scope="module")
async def attacked(postgres_server: Embedded, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Attacked]:
    double = Double(speed=5000, start=datetime(2026, 11, 21, 12, tzinfo=UTC))
    async with serving(double) as url:
        double.world.store.add("tokens", user=1, scope="write", _token=SECRET, description="fuzz")
        given = {
            "awx": {"url": url, "token": SECRET},
            "neo4j": {"url": f"bolt://{AWAY}", "user": "neo4j", "password": SECRET},
            "postgres": {"dsn": postgres_server.dsn},
            "qdrant": {"memory": True},
        }
        plugins = (HubPlugin, pegboard_awx, pegboard_neo4j, pegboard_postgres, pegboard_qdrant)
        with written() as log:
            async with site(hub_of(*plugins, settings={"plugins": given})) as opened:
                yield Attacked(opened, log)


@settings(
    max_examples=EXAMPLES or 800,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(call=calls())
async def test_no_arguments_make_a_tool_crash_or_tell(attacked: Attacked, call: Json) -> None:
    """S-22 and S-23, by chance: every tool of every plugin, with what fits its schema and what does not."""
    answer = await attacked.site.modern("", "tools/call", call)

    text = answer.all
    outcome = "refused" if '"isError":true' in text else "answered"
    event(f"{call['name'].partition('_')[0]} {answer.status} {outcome}")
    assert answer.status in (200, 400), answer
    log = attacked.log.take()
    assert "internal error" not in text, (call, log)
    assert "Unknown tool" not in text
    assert "Traceback" not in text + log
    assert SECRET not in text + log
    assert MARK not in log
