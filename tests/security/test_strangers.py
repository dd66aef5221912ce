"""DNS rebinding, whatever the hub asks for: a page of another site reaches no handler at any kind of endpoint."""

from collections.abc import Mapping

import pytest
from tests.security.asgi import Site
from tests.security.house import PLACES, Vault, bearer, house, key_of
from tests.system.wire import ACCEPT, Json, envelope, rpc

PAGES = ("/", "/health", "/ready", "/metrics", "/.well-known/oauth-protected-resource/mcp", "/nothing/here")
CALL: Json = {"name": "vault_open", "arguments": {}}

FOREIGN = [
    ({"Host": "evil.com"}, 421),
    ({"Host": "evil.com:8000"}, 421),
    ({"Host": "localhost.evil.com"}, 421),
    ({"Host": "localhost:8000@evil.com"}, 421),
    ({"Origin": "http://evil.com"}, 403),
    ({"Origin": "http://localhost.evil.com"}, 403),
    ({"Origin": "http://localhost:80@evil.com"}, 403),
    ({"Origin": "null"}, 403),
]


async def attack(site: Site, path: str, foreign: Mapping[str, str], own: Mapping[str, str]) -> dict[str, int]:
    """The status of every route of an endpoint, its open sessions included."""
    session = await site.initialize(path, own)
    params, modern = envelope("tools/call", CALL)
    async with site.stream(path, own) as stream:
        requests: list[tuple[str, str, Mapping[str, str], Json | None]] = [
            ("GET", f"{path}/sse", {}, None),
            ("POST", f"{path}/sse", ACCEPT, rpc("tools/call", CALL, 1)),
            ("POST", stream.url, ACCEPT, rpc("tools/call", CALL, 2)),
            ("GET", f"{path}/mcp", {**ACCEPT, "Mcp-Session-Id": session}, None),
            ("POST", f"{path}/mcp", {**ACCEPT, "Mcp-Session-Id": session}, rpc("tools/call", CALL, 3)),
            ("POST", f"{path}/mcp", modern, rpc("tools/call", params, 4)),
            ("DELETE", f"{path}/mcp", {"Mcp-Session-Id": session}, None),
            ("OPTIONS", f"{path}/mcp", {"Access-Control-Request-Method": "POST"}, None),
        ]
        found: dict[str, int] = {}
        for number, (method, target, headers, body) in enumerate(requests):
            answer = await site.ask(method, target, {**headers, **own, **foreign}, body)
            assert answer.header("access-control-allow-origin") is None
            assert answer.header("mcp-session-id") is None
            found[f"{number} {method} {target.partition('?')[0]}"] = answer.status
    again = await site.ask(
        "POST", f"{path}/mcp", {**ACCEPT, "Mcp-Session-Id": session, **own}, rpc("tools/call", CALL, 5)
    )
    assert (again.status, "gold" in again.text) == (200, True), "the session that was attacked goes on"
    return found


@pytest.mark.parametrize("keys", [False, True], ids=["no keys", "keys"])
@pytest.mark.parametrize("path", PLACES)
async def test_a_page_of_another_site_reaches_no_handler(path: str, keys: bool) -> None:
    """S-01 and S-02: over SSE, in sessions and without, and even with a key that counts."""
    text, table = key_of("*")
    own, vault = (bearer(text) if keys else {}), Vault()
    async with house(vault.plugin, **({"keys": table} if keys else {})) as site:
        for foreign, status in FOREIGN:
            before = vault.opened
            found = await attack(site, path, foreign, own)
            assert found == dict.fromkeys(found, status), foreign
            assert vault.opened == before + 1  # by the one request of ours
            if keys:
                anonymous = await site.modern(path, "tools/call", CALL, foreign)
                assert anonymous.status == status, "whoever shows no key is told the same"


@pytest.mark.parametrize("keys", [False, True], ids=["no keys", "keys"])
async def test_a_page_of_another_site_reads_no_page_of_ours(keys: bool) -> None:
    """S-01: also where no key is asked for."""
    text, table = key_of("*")
    async with house(Vault().plugin, **({"keys": table} if keys else {})) as site:
        for page in PAGES:
            for foreign, status in FOREIGN:
                answer = await site.ask("GET", page, {**(bearer(text) if keys else {}), **foreign})
                assert (page, answer.status) == (page, status)
                assert "vault" not in answer.text
