"""One run: every server up at once, idle but for the one that is measured, in interleaved rounds.

Interleaved, because a machine's speed drifts: A B C A B C compares what A A B B C C would not.
"""

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import psutil

from bench.load import Sample, WrongAnswerError, measure
from bench.measures import Measure
from bench.peers import Peer
from bench.processes import core, free_port, listening, running

SERVER_CORE, LOAD_CORE = 0, 1

Samples = dict[tuple[str, str], list[Sample]]
"""By measure and peer."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    measures: Sequence[Measure]
    peers: Sequence[Peer]
    rounds: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Server:
    """A peer that is up."""

    port: int
    process: psutil.Process


def run(plan: Plan, say: Callable[[str], None]) -> Samples:
    """Measure everything in the plan; raises `WrongAnswerError` and `StartError`."""
    samples: Samples = {}
    with ExitStack() as stack:
        servers = {peer.name: start(peer, stack, say) for peer in plan.peers}
        stack.enter_context(core(LOAD_CORE))
        for turn in range(plan.rounds):
            say(f"round {turn + 1} of {plan.rounds}")
            for kind, peer in pairs(plan):
                samples.setdefault((kind.name, peer.name), []).append(one(kind, peer, servers[peer.name], plan.seconds))
    return samples


def pairs(plan: Plan) -> list[tuple[Measure, Peer]]:
    return [(kind, peer) for kind in plan.measures for peer in plan.peers if kind.fits(peer)]


def start(peer: Peer, stack: ExitStack, say: Callable[[str], None]) -> Server:
    say(f"starting {peer.label}")
    port = free_port()
    with core(SERVER_CORE):
        process = stack.enter_context(running(peer.command(port), listening(port), peer.environment))
    return Server(port, process)


def one(kind: Measure, peer: Peer, server: Server, seconds: float) -> Sample:
    try:
        return measure(kind.callers(peer), server.port, server.process, seconds)
    except (WrongAnswerError, OSError) as error:
        raise WrongAnswerError(f"{peer.label}, {kind.title}: {error}") from error


def to_stderr(line: str) -> None:
    """Progress, where it does not get into the table."""
    print(line, file=sys.stderr, flush=True)
