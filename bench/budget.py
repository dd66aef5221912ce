"""The cost of hidden tools: a direct call, the same through `call_tool`, and a search, by the number of tools.

`python -m bench.budget`: one caller, so that a time is a latency; a real `pegboard serve` on one core for each size.
"""

import asyncio
import sys
from itertools import count
from time import perf_counter

from bench import wire
from bench.connections import Exchange
from bench.peers import PEERS, PEGBOARD
from bench.processes import core, free_port, listening, running
from bench.rounds import LOAD_CORE, SERVER_CORE

SIZES = (60, 500, 2500, 4000)
CALLS = 400
PATH = "/mcp"
QUERIES = ("restart the nightly backup job", "failed deployments of last week", "rotate a certificate", "update_host_7")

ECHO = {"text": f"call {wire.MARK.decode()}", "times": 2}
DIRECT = {"name": "echo", "arguments": ECHO}
THROUGH = {"name": "call_tool", "arguments": {"name": "echo", "arguments": ECHO}}


def main() -> None:
    """Print one line for each size."""
    print(
        f"{'tools':>6} {'ready s':>8} {'call ms':>14} {'call_tool ms':>14} {'search ms':>14}   (p50 / p95)", flush=True
    )
    for size in SIZES:
        print(row(size), flush=True)


def row(size: int) -> str:
    """Measure a hub of so many tools."""
    peer = next(peer for peer in PEERS if peer.name == PEGBOARD)
    environment = {**peer.environment, "BENCH_TOOLS": str(size), "PEGBOARD_BUDGET_PROFILE": "small"}
    port = free_port()
    began = perf_counter()
    with core(SERVER_CORE):
        server = running(peer.command(port), listening(port), environment)
    with server, core(LOAD_CORE):
        ready = perf_counter() - began
        samples = asyncio.run(latencies(port))
    return f"{size:>6} {ready:>8.2f} " + " ".join(f"{shown(sample):>14}" for sample in samples)


async def latencies(port: int) -> list[list[float]]:
    """The seconds of direct calls, of calls through `call_tool`, and of searches."""
    direct = wire.modern("tools/call", DIRECT, PATH, wire.is_echo)
    through = wire.modern("tools/call", THROUGH, PATH, wire.is_echo)
    search = [
        wire.modern("tools/call", {"name": "search_tools", "arguments": {"query": query}}, PATH, is_search)
        for query in QUERIES
    ]
    return [await asked(port, questions) for questions in ([direct], [through], search)]


async def asked(port: int, questions: list[wire.Question]) -> list[float]:
    """Ask the questions in turn, one after the other; the first tenth is for warming up."""
    answers: asyncio.Queue[tuple[int, bytes]] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    _, exchange = await loop.create_connection(
        lambda: Exchange(lambda status, body: answers.put_nowait((status, body)), fail), "127.0.0.1", port
    )
    times: list[float] = []
    for number in range(CALLS):
        question, mark = questions[number % len(questions)], str(next(NUMBERS)).encode()
        began = perf_counter()
        exchange.transport.write(question.numbered(mark))
        status, body = await asyncio.wait_for(answers.get(), 10)
        times.append(perf_counter() - began)
        if status != 200 or not question.answered_by(body, mark):
            fail(f"a wrong answer, status {status}: {body[:300]!r}")
    exchange.close()
    return sorted(times[CALLS // 10 :])


NUMBERS = count(int(wire.MARK) + 1)


def is_search(answer: wire.Json) -> bool:
    """Whether there are hits."""
    return " - " in answer.get("result", {}).get("content", [{}])[0].get("text", "")


def shown(times: list[float]) -> str:
    p50, p95 = times[len(times) // 2] * 1e3, times[len(times) * 95 // 100] * 1e3
    return f"{p50:.2f} / {p95:.2f}"


def fail(reason: str) -> None:
    sys.exit(reason)


if __name__ == "__main__":
    main()
