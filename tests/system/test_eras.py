"""The same hub over every transport and in every era."""

import json

import pytest
from tests.system.processes import HubProcess
from tests.system.wire import Era, Json, call, client, connected, envelope, rpc


@pytest.mark.parametrize("era", ["sse", "legacy", "modern"])
@pytest.mark.parametrize("path", ["", "/probe"])
async def test_a_tool_answers_on_every_transport_and_endpoint(shared_hub: HubProcess, era: Era, path: str) -> None:
    async with connected(era, shared_hub.url, path) as peer:
        assert await call(peer, "probe_echo", {"payload": "héllo"}) == "héllo"


@pytest.mark.parametrize("method", ["tools/list", "server/discover"])
async def test_an_answer_that_is_kept_is_given_to_each_under_its_own_id(shared_hub: HubProcess, method: str) -> None:
    async with connected("modern", shared_hub.url) as peer:
        ids = [1, 2, "two", 'quo"te', "\u00e9\u2713", 2**53, -1, 1]
        answers = [await peer.request(method, request_id=request_id) for request_id in ids]
    assert [answer["id"] for answer in answers] == ids
    assert all(answer["result"] == answers[0]["result"] for answer in answers)


async def test_every_era_lists_the_same_tools(shared_hub: HubProcess) -> None:
    lists: list[list[Json]] = []
    for era in ("sse", "legacy", "modern"):
        async with connected(era, shared_hub.url) as peer:
            lists.append((await peer.request("tools/list"))["result"]["tools"])
    assert lists[0] == lists[1] == lists[2]
    assert not any("title" in tool["inputSchema"] for tool in lists[0])


@pytest.mark.parametrize("era", ["sse", "legacy", "modern"])
async def test_an_expected_error_reaches_the_client_with_its_remedy(shared_hub: HubProcess, era: Era) -> None:
    async with connected(era, shared_hub.url) as peer:
        answer = await peer.request("tools/call", {"name": "probe_refuse", "arguments": {}})
        assert answer["result"]["isError"]
        assert answer["result"]["content"][0]["text"] == "there is no such thing; probe_echo lists none"
        unknown = await peer.request("tools/call", {"name": "probe_eco", "arguments": {}})
        assert unknown["error"]["code"] == -32602
        assert "did you mean 'probe_echo'" in unknown["error"]["message"]


async def test_of_a_key_that_is_given_twice_everybody_reads_the_same(shared_hub: HubProcess) -> None:
    """S-19: what the headers were compared with is what runs."""
    params, headers = envelope("tools/call", {"name": "probe_refuse", "arguments": {"payload": "x"}})
    body = json.dumps(rpc("tools/call", params, 1)).replace("{", '{"method": "tools/list", ', 1)
    twice = body.replace('"name": "probe_refuse"', '"name": "probe_refuse", "name": "probe_echo"')
    async with client(shared_hub.url) as http:
        first = await http.post("/mcp", content=twice, headers=headers)
        last = await http.post("/mcp", content=twice, headers={**headers, "Mcp-Name": "probe_echo"})
    assert first.status_code == 400
    assert last.json()["result"]["content"][0]["text"] == "x"
