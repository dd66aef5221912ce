"""The same hub over every transport and in every era."""

import pytest
from tests.system.processes import HubProcess
from tests.system.wire import Era, call, connected


@pytest.mark.parametrize("era", ["sse", "legacy", "modern"])
@pytest.mark.parametrize("path", ["", "/probe"])
async def test_a_tool_answers_on_every_transport_and_endpoint(shared_hub: HubProcess, era: Era, path: str) -> None:
    async with connected(era, shared_hub.url, path) as peer:
        assert await call(peer, "probe_echo", {"payload": "héllo"}) == "héllo"
