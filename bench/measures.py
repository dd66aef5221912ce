"""What is measured: three kinds of load, and which servers can bear them."""

from collections.abc import Callable
from dataclasses import dataclass

from bench import wire
from bench.callers import MakeCaller, SessionCaller, StatelessCaller
from bench.catalogue import TOOLS
from bench.peers import Peer


@dataclass(frozen=True, slots=True)
class Measure:
    """One kind of load; `callers` makes the callers for a server."""

    name: str
    title: str
    callers: Callable[[Peer], MakeCaller]
    needs_sse: bool = False

    def fits(self, peer: Peer) -> bool:
        return peer.sse or not self.needs_sse


def calls(peer: Peer) -> MakeCaller:
    question = wire.modern("tools/call", wire.CALL, f"{peer.prefix}/mcp", wire.is_echo, peer.headers)
    return lambda tally: StatelessCaller(question, tally)


def lists(peer: Peer) -> MakeCaller:
    question = wire.modern("tools/list", {}, f"{peer.prefix}/mcp", wire.is_list, peer.headers)
    return lambda tally: StatelessCaller(question, tally)


def sessions(peer: Peer) -> MakeCaller:
    return lambda tally: SessionCaller(f"{peer.prefix}/sse", tally, peer.headers)


MEASURES = [
    Measure("call", f"tools/call on /mcp, {wire.MODERN}", calls),
    Measure("sse", f"tools/call on SSE, {wire.LEGACY}", sessions, needs_sse=True),
    Measure("list", f"tools/list of {len(TOOLS)} tools on /mcp, {wire.MODERN}", lists),
]
