"""The table, and the targets beside what was measured."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from statistics import median

from bench.footprint import Footprint
from bench.load import CALLERS, Sample
from bench.peers import BASELINE, PEGBOARD, SECURED
from bench.rounds import Plan, Samples, pairs

SATURATED = 0.9
"""Above it a core counts as full."""


@dataclass(frozen=True, slots=True)
class Row:
    """One server under one kind of load: its median sample, and how it compares to the bare SDK."""

    measure: str
    peer: str
    sample: Sample
    cpu: float
    ratio: float | None
    """None if the bare SDK was not measured."""


@dataclass(frozen=True, slots=True)
class Target:
    """One promise, what was measured, and whether it is kept. Never asserted: machines differ."""

    promise: str
    measured: str
    met: bool


def rows(plan: Plan, samples: Samples) -> list[Row]:
    def row(measure: str, peer: str) -> Row:
        several = samples[measure, peer]
        cpu = median(sample.cpu for sample in several)
        return Row(measure, peer, middle(several), cpu, ratio(samples, measure, peer, BASELINE))

    return [row(kind.name, peer.name) for kind, peer in pairs(plan)]


def ratio(samples: Samples, measure: str, peer: str, base: str) -> float | None:
    """How many times as fast one server is as another, by the CPU time of an answer: the median of the rounds.

    The load keeps a core full, so on a quiet machine it is the ratio of the rates. On a busy one a rate says who else
    was running; CPU time hardly does, and least within one round.
    """
    rounds = zip(samples.get((measure, peer), []), samples.get((measure, base), []), strict=False)
    ratios = [theirs.cpu / ours.cpu for ours, theirs in rounds]
    return median(ratios) if ratios else None


def middle(samples: list[Sample]) -> Sample:
    """The whole sample with the middle rate, so that its latencies belong to it."""
    return sorted(samples, key=lambda sample: sample.rate)[len(samples) // 2]


def table(plan: Plan, found: list[Row]) -> Iterator[str]:
    if not found:
        return
    labels = {peer.name: peer.label for peer in plan.peers}
    yield f"{plan.rounds} interleaved rounds of {plan.seconds:g} s, medians; {CALLERS} callers, one core for the server"
    for kind in plan.measures:
        yield ""
        yield f"{kind.title:44}{'per second':>11}{'p50 ms':>9}{'p99 ms':>9}{'CPU us':>9}{'of bare SDK':>13}"
        yield from (line(labels[row.peer], row) for row in found if row.measure == kind.name)
    yield from warnings(found, labels)


def warnings(found: list[Row], labels: dict[str, str]) -> Iterator[str]:
    """What the reader has to know before believing a rate."""
    yield "\nCPU us: the server's own time per answer; the ratio compares it, round by round."
    loaded = [row for row in found if row.sample.generator <= SATURATED]
    if loaded != found:
        yield "* The load generator was the limit; the server could do more."
    least = min(loaded, key=lambda row: row.sample.share, default=None)
    if least is not None and least.sample.share < SATURATED:
        yield (
            f"Rates and latencies are not to be trusted: {labels[least.peer]} ({least.measure}) "
            f"had {least.sample.share:.0%} of its core. Run it again on a quiet machine."
        )


def line(label: str, row: Row) -> str:
    sample = row.sample
    star = "*" if sample.generator > SATURATED else " "
    times = f"{row.ratio:.2f}x" if row.ratio else ""
    rate = f"{sample.rate:,.0f}".replace(",", " ")
    return f"  {label:42}{rate:>11}{star}{sample.p50 * 1e3:8.2f}{sample.p99 * 1e3:9.2f}{row.cpu * 1e6:9.0f}{times:>13}"


def targets(samples: Samples, idle: Footprint | None) -> Iterator[Target]:
    for kind, what, peer, name, least in (
        ("call", "tools/call on /mcp", BASELINE, "the bare SDK", 0.9),
        ("sse", "tools/call on SSE", BASELINE, "the bare SDK", 0.9),
        ("call", "tools/call on /mcp", "fastmcp", "FastMCP", 5.0),
        ("list", "tools/list", BASELINE, "the bare SDK", 3.0),
    ):
        times = ratio(samples, kind, PEGBOARD, peer)
        if times is not None:
            yield Target(f"{what} at least {least:g}x {name}", f"{times:.2f}x", times >= least)
    for kind, what in (("call", "/mcp"), ("sse", "SSE")):
        times = ratio(samples, kind, SECURED, BASELINE)
        if times is not None:
            yield Target(f"everything on, {what}, at least 0.8x the bare SDK", f"{times:.2f}x", times >= 0.8)
    if idle is not None:
        yield Target("pegboard serve ready in under 2 s", f"{idle.ready:.2f} s", idle.ready < 2)
        yield Target("pegboard serve idles under 90 MB", f"{idle.rss:.0f} MB", idle.rss < 90)


def summary(aims: list[Target]) -> Iterator[str]:
    for aim in aims:
        yield f"  {'met   ' if aim.met else 'MISSED'}  {aim.promise:48}{aim.measured:>9}"


def as_json(plan: Plan, found: list[Row], idle: Footprint | None, aims: list[Target]) -> dict[str, object]:
    return {
        "rounds": plan.rounds,
        "seconds": plan.seconds,
        "rows": [asdict(row) for row in found],
        "footprint": asdict(idle) if idle else None,
        "targets": [asdict(aim) for aim in aims],
    }
