"""The hot spots of one server: cProfile over some seconds of load. Its start is in there too, mostly `compile`."""

import pstats
import signal
import tempfile
from dataclasses import replace
from pathlib import Path

from bench.load import Sample, measure
from bench.measures import Measure
from bench.peers import Peer
from bench.processes import core, free_port, listening, running
from bench.rounds import LOAD_CORE, SERVER_CORE

TOP = 25


def profile(peer: Peer, kind: Measure, seconds: float) -> Sample:
    """Print the functions by their own time, then pegboard's with all they call; the sample is slower than without."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "profile"
        sample = profiled(peer, kind, seconds, file)
        stats = pstats.Stats(str(file))
        stats.sort_stats("tottime").print_stats(TOP)
        stats.sort_stats("cumulative").print_stats(r"/pegboard/", TOP)
    return sample


def profiled(peer: Peer, kind: Measure, seconds: float, file: Path) -> Sample:
    port = free_port()
    under = replace(peer, module="cProfile", arguments=("-o", str(file), "-m", peer.module, *peer.arguments))
    with core(SERVER_CORE):
        server = running(under.command(port), listening(port), under.environment)
    with server as process, core(LOAD_CORE):
        sample = measure(kind.callers(peer), port, process, seconds)
        process.send_signal(signal.SIGINT)  # after SIGTERM uvicorn kills itself, and the profile with it
        process.wait(10)
    return sample
