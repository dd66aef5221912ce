"""Anything at all to every public route: no failure of ours, nothing of it in the log, no secret, no call for nobody.

`PEGBOARD_FUZZ=50000 pytest tests/security/test_fuzz_routes.py` looks for longer.
"""

import base64
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from tests.security.asgi import Site, Stream
from tests.security.house import PLACES, Vault, bearer, house, key_of
from tests.security.log import Written, written
from tests.security.shapes import EXAMPLES, MARK, METHODS, anything, bodies, dumped, headers, messages, params_of, texts
from tests.system.wire import ACCEPT, MODERN, Json, envelope, rpc

ROUTES = [f"{path}/{route}" for path in PLACES for route in ("sse", "messages/", "mcp")]
PAGES = ["/", "/health", "/ready", "/metrics", "/.well-known/oauth-protected-resource/mcp", "/nothing/../here"]
VERBS = ["GET", "POST", "POST", "POST", "DELETE", "OPTIONS", "HEAD", "PUT", "PATCH", "TRACE", "BREW"]

GOOD, TABLE = key_of("*", "good")
NARROW, NARROW_TABLE = key_of("hub:read", "narrow")
UNKNOWN, _ = key_of("*", "unknown")
SECRETS = (GOOD, NARROW, UNKNOWN, TABLE["good"]["sha256"], GOOD.rpartition("_")[2], NARROW.rpartition("_")[2])

CREDENTIALS: dict[str, dict[str, str]] = {
    "good": bearer(GOOD),
    "good by basic": {"Authorization": f"Basic {base64.b64encode(f'good:{GOOD}'.encode()).decode()}"},
    "good by header": {"X-Internal-Token": GOOD},
    "narrow": bearer(NARROW),
    "unknown": bearer(UNKNOWN),
    "wrong secret": bearer(GOOD[:-4] + "AAAA"),
    "cut": bearer(GOOD[:-1]),
    "another case": bearer(GOOD.swapcase()),
    "empty": {"Authorization": "Bearer "},
    "strange": {"Authorization": "Negotiate \xff\xfe"},
    "none": {},
}
GOOD_ONES = frozenset(name for name in CREDENTIALS if name.startswith("good"))

METAS: list[dict[str, Any]] = [envelope("x")[0]["_meta"], {"pegboard/deadline": -1}, {"progressToken": 1}, {}]
TOOLS = ["vault_open", "hub_health_check", "fetch_more", "search_tools", "call_tool", "VAULT_OPEN"]

request_bodies = bodies(messages(TOOLS, METAS))
bases = st.sampled_from(
    [
        ACCEPT,
        ACCEPT,
        envelope("tools/call", {"name": "vault_open"})[1],
        envelope("tools/list")[1],
        envelope("subscriptions/listen")[1],
        {},
    ]
)


@dataclass(frozen=True)
class Attacked:
    """The hub under test, what it holds open, and what it wrote."""

    site: Site
    vault: Vault
    session: str
    stream: Stream
    log: Written


@pytest.fixture(scope="module")
async def attacked() -> AsyncGenerator[Attacked]:
    vault = Vault()
    with written() as log:
        async with house(vault.plugin, keys={**TABLE, **NARROW_TABLE}, log={"level": "debug"}) as site:
            session = await site.initialize("", bearer(GOOD))
            async with site.stream("", bearer(GOOD)) as stream:
                yield Attacked(site, vault, session, stream, log)


Request = tuple[str, str, list[tuple[str, str]], bytes, str]
"""Method, target, headers, body, and with which credential."""

credentials = st.sampled_from(["good", "good", "good", *CREDENTIALS])

HEADERS = {
    "Mcp-Session-Id": ["{session}", "{session}", "0" * 32],
    "MCP-Protocol-Version": [MODERN, "2025-11-25", "2199-01-01"],
    "Mcp-Method": ["tools/call", "tools/list"],
    "Mcp-Name": ["vault_open", "hub_health_check"],
    "Host": ["localhost", "evil.com"],
    "Origin": ["http://localhost", "http://evil.com", "null"],
    "Accept": ["*/*", "application/json", "text/html", "application/openmetrics-text"],
    "Content-Type": ["text/plain", "application/json; charset=utf-16", "multipart/form-data"],
    "Content-Length": ["0", "99999999999999999999", "-1"],
    "Last-Event-ID": ["1"],
    "traceparent": ["00-" + "1" * 32 + "-" + "2" * 16 + "-01", "00-0-0-0"],
    "X-AWX-Token": ["x"],
    "X-Forwarded-For": ["10.0.0.1", "::1"],
    "X-Forwarded-Proto": ["https"],
}


@st.composite
def wild(draw: st.DrawFn) -> Request:
    """Anything to any route."""
    target = draw(st.one_of(st.sampled_from(ROUTES), st.sampled_from([*ROUTES, *PAGES]), st.text(max_size=20)))
    query = draw(st.sampled_from(["", "", "?session_id={stream}", "?session_id=0", "?key={key}", "?%ff=%00"]))
    given = draw(headers(HEADERS))
    base = [pair for pair in draw(bases).items() if pair[0].lower() not in {name.lower() for name, _ in given}]
    target = target if target.startswith("/") else f"/{target}"
    return draw(st.sampled_from(VERBS)), target + query, [*base, *given], draw(request_bodies), draw(credentials)


@st.composite
def right(draw: st.DrawFn) -> Request:
    """A call that is run when its credential counts."""
    path = draw(st.sampled_from(PLACES))
    params, sent = envelope("tools/call", {"name": "vault_open", "arguments": {"payload": draw(texts)}})
    given = draw(headers({name: HEADERS[name] for name in ("traceparent", "X-AWX-Token", "X-Forwarded-For")}))
    return "POST", f"{path}/mcp", [*sent.items(), *given], dumped(rpc("tools/call", params, 1)), draw(credentials)


@st.composite
def near(draw: st.DrawFn) -> Request:
    """What a client sends, and one thing of it is another one."""
    method, era = draw(st.sampled_from([*METHODS, "tools/call"])), draw(st.sampled_from(["sse", "legacy", "modern"]))
    params: Json = draw(params_of(TOOLS, METAS))
    if method == "tools/call":
        params = {"name": draw(st.sampled_from(TOOLS)), "arguments": {}, **(params if draw(st.booleans()) else {})}
    target, sent = "/messages/?session_id={stream}", [*ACCEPT.items()]
    if era == "legacy":
        target, sent = "/mcp", [*ACCEPT.items(), ("Mcp-Session-Id", "{session}")]
    elif era == "modern":
        target = f"{draw(st.sampled_from(PLACES))}/mcp"
        name = params.get("name")
        params = {**params, **({} if draw(st.integers(0, 4)) == 0 else {"_meta": METAS[0]})}
        sent = [*envelope(method, {"name": name} if isinstance(name, str) and name.isascii() else {})[1].items()]
    message: Json = {"jsonrpc": "2.0", "id": draw(st.integers(1, 9)), "method": method, "params": params}
    message |= draw(st.dictionaries(st.sampled_from(["id", "jsonrpc", "extra", "result"]), anything, max_size=1))
    sent += draw(headers(HEADERS)) if draw(st.integers(0, 3)) == 0 else []
    return "POST", target, sent, dumped(message), draw(credentials)


@settings(
    max_examples=EXAMPLES or 800,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(request=st.one_of(near(), wild(), right()))
async def test_no_request_makes_the_hub_fail_or_tell(attacked: Attacked, request: Request) -> None:
    """S-03, S-22 and S-23, by chance: whatever is sent, to whichever route, with whichever credential."""
    method, target, sent, body, who = request
    names = {"{session}": attacked.session, "{stream}": attacked.stream.url.rpartition("=")[2], "{key}": GOOD}
    for name, value in names.items():
        target = target.replace(name, value)
        sent = [(key, text.replace(name, value)) for key, text in sent]
    opened = attacked.vault.opened

    answer = await attacked.site.ask(
        method, target, [*sent, *CREDENTIALS[who].items()], body if method != "GET" else b"", patience=0.3
    )

    event(f"{method} {answer.status} {'gold' in answer.text}")
    log = attacked.log.take()
    assert 200 <= answer.status < 500 or answer.status in (501, 503), answer
    assert "Traceback" not in answer.all + log
    assert not [secret for secret in SECRETS if secret in answer.all + log]
    assert MARK not in log
    if who not in GOOD_ONES:
        assert attacked.vault.opened == opened
        assert "gold" not in answer.text
