"""`python -m bench.search`: recall and speed of search on the development sets, for pegboard and for FastMCP."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.search.rankers import FASTMCP, rankers
from bench.search.scores import Quality, Speed, macro, measure
from bench.search.sets import FILES, LARGEST, DevelopmentSet, MissingDataError, load

DATA = Path(__file__).parents[3] / "shared" / "tool-search"
SIZES = (500, 2_500, 4_000)
AIM = 10.0
"""Points of macro recall@5 above FastMCP that issue 3 asks for."""

HEAD = f"{'recall@1':>10}{'@5':>8}{'@10':>8}{'MRR':>8}{'p50 ms':>9}{'p95 ms':>9}{'build s':>9}"


def main() -> int:
    options = parser().parse_args()
    try:
        sets = [load(options.data, name, options.questions) for name in FILES]
    except MissingDataError as error:
        print(f"bench failed: {error}", file=sys.stderr)
        return 1
    for line in (*recalls(sets), *speeds(next(one for one in sets if one.name == LARGEST))):
        print(line, flush=True)
    return 0


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.search", description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the sets (default ../shared/tool-search)")
    parser.add_argument("--questions", type=int, default=1_000, help="at most so many of each set (default 1000)")
    return parser


def recalls(sets: list[DevelopmentSet]) -> Iterator[str]:
    found: dict[str, list[Quality]] = {name: [] for name in rankers()}
    for one in sets:
        size = f"{one.name}: {len(one.catalogue.entries)} tools, {len(one.questions)} questions"
        yield f"{size:48}{HEAD}"
        for name, make in rankers().items():
            quality, speed = measure(make, one.catalogue, one.questions)
            found[name].append(quality)
            yield row(name, quality, speed)
    yield f"{'macro average':48}{HEAD[:34]}"
    yield from (row(name, macro(qualities)) for name, qualities in found.items())
    yield from gains({name: macro(qualities).recall5 for name, qualities in found.items()})


def gains(recall5: dict[str, float]) -> Iterator[str]:
    for name in (name for name in recall5 if name != FASTMCP):
        points = 100 * (recall5[name] - recall5[FASTMCP])
        verdict = "met" if points >= AIM else "MISSED"
        yield f"  {name}: {points:+.1f} points of macro recall@5 over FastMCP (aim {AIM:+.0f}: {verdict})"


def speeds(largest: DevelopmentSet) -> Iterator[str]:
    yield f"{'speed by size':48}{HEAD[34:]:>61}"
    questions = largest.questions[::5]
    for size in SIZES:
        for name, make in rankers().items():
            _, speed = measure(make, largest.catalogue.cut(size), questions)
            yield row(f"{size} tools, {name}", None, speed)


def row(name: str, quality: Quality | None, speed: Speed | None = None) -> str:
    found = (quality.recall1, quality.recall5, quality.recall10, quality.mrr) if quality else ()
    cells = "".join(f"{value:>{10 if place == 0 else 8}.3f}" for place, value in enumerate(found)) or " " * 34
    timed = f"{speed.p50 * 1e3:>9.2f}{speed.p95 * 1e3:>9.2f}{speed.build:>9.2f}" if speed else ""
    return f"  {name:46}{cells}{timed}"


if __name__ == "__main__":
    sys.exit(main())
