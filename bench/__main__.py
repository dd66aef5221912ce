"""`python -m bench`: the table. `python -m bench profile`: where the time goes."""

import argparse
import json
import sys

from bench import report
from bench.footprint import footprint
from bench.load import WrongAnswerError
from bench.measures import MEASURES
from bench.peers import PEERS, PEGBOARD
from bench.processes import StartError
from bench.profiling import profile
from bench.rounds import Plan, run, to_stderr

IDLE = "idle"


def main() -> int:
    options = parser().parse_args()
    try:
        (show_profile if options.command == "profile" else show_table)(options)
    except (WrongAnswerError, StartError) as error:
        print(f"bench failed: {error}", file=sys.stderr)
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("command", nargs="?", choices=["table", "profile"], default="table")
    parser.add_argument("--seconds", type=float, default=2.5, help="length of a sample (default 2.5)")
    parser.add_argument("--rounds", type=int, default=3, help="samples of each, of which the median counts (default 3)")
    names = [*(peer.name for peer in PEERS), *(kind.name for kind in MEASURES), IDLE]
    parser.add_argument("--only", action="append", choices=names, help="only these servers and measures; repeatable")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    return parser


def show_table(options: argparse.Namespace) -> None:
    plan = planned(options)
    wants_idle = not options.only or IDLE in options.only
    samples = run(plan, to_stderr) if plan.measures else {}
    idle = footprint(options.rounds) if wants_idle else None
    rows = report.rows(plan, samples)
    aims = list(report.targets(samples, idle))
    if options.json:
        print(json.dumps(report.as_json(plan, rows, idle, aims), indent=2))
    else:
        print("\n".join([*report.table(plan, rows), "", "targets", *report.summary(aims)]))


def show_profile(options: argparse.Namespace) -> None:
    plan = planned(options)
    peer = plan.peers[0] if options.only and len(plan.peers) == 1 else next(p for p in PEERS if p.name == PEGBOARD)
    sample = profile(peer, plan.measures[0], options.seconds)
    print(f"{peer.label}, {plan.measures[0].title}: {sample.rate:.0f} per second under the profiler")


def planned(options: argparse.Namespace) -> Plan:
    """What `--only` leaves: servers or measures stay all where none of them was named."""
    only: set[str] = set(options.only or ())
    peers = [peer for peer in PEERS if peer.name in only] or PEERS
    measures = [kind for kind in MEASURES if kind.name in only] or MEASURES
    if only == {IDLE}:
        peers, measures = [], []
    return Plan(measures, peers, options.rounds, options.seconds)


if __name__ == "__main__":
    sys.exit(main())
