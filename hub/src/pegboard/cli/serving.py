"""Serving: the hub over HTTP in this process, alone or as one of several workers."""

import logging
import signal
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path

from pegboard.cli.exposed import open_secrets
from pegboard.cli.ready import describe, ready_text, say_ready
from pegboard.cli.starting import changed, log_to_stderr, run, stopped_by_signal
from pegboard.cli.text import print_json
from pegboard.configuration import load_settings
from pegboard.ending import CLOSING, ending
from pegboard.hub import Hub
from pegboard.serving.server import serve_http
from pegboard.serving.workers.assignment import Assignment
from pegboard.serving.workers.worker import Worker
from pegboard.settings import HubSettings
from pegboard.telemetry import telemetry

log = logging.getLogger(__name__)


def serve_alone(settings: HubSettings, read: Callable[[], HubSettings], file: Path | None, *, as_json: bool) -> None:
    """Serve by this process until a signal stops it; `read` gives the settings anew."""
    with stopped_by_signal():
        run(serve, settings, partial(tell_ready, as_json), read, file)


def serve_as_worker(stream: socket.socket) -> None:
    """Serve as one of several processes, as the supervisor at the other end of `stream` says; or end when it does."""
    line = _line_of(stream)
    if line is None:
        return
    assignment, options, configuration = Assignment.read(line)
    worker = Worker(assignment, configuration, stream)

    def read() -> HubSettings:
        now = worker.configuration
        settings = load_settings(now.path, text=now.text)
        return assignment.applied(changed(settings, server=options["server"], strict=options["strict"]))

    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # it is the supervisor that says when to reload
    with stopped_by_signal():
        settings = read()
        log_to_stderr(settings.log.level, settings.log.format, assignment.name)
        run(serve, settings, partial(report_ready, worker), read, configuration.path, worker)


def _line_of(stream: socket.socket) -> bytes | None:
    with stream.makefile("rb") as lines:
        return lines.readline() or None


async def serve(
    settings: HubSettings,
    on_ready: Callable[[Hub, str], None],
    read: Callable[[], HubSettings],
    file: Path | None,
    worker: Worker | None = None,
) -> None:
    """Open the hub and serve it; says when it is ready, and reads the settings again at SIGHUP."""
    with telemetry(settings.telemetry), ending() as end:
        async with Hub(settings) as hub:
            end.unwritten = lambda: hub.audit.journal.waiting
            exposed = open_secrets([*hub.plugins, *hub.quarantined], file)
            if exposed is not None:
                log.warning("%s", exposed)
            ready, drained = partial(on_ready, hub), partial(end.within, CLOSING)
            await serve_http(hub, on_ready=ready, load=read, worker=worker, drained=drained)


def tell_ready(as_json: bool, hub: Hub, url: str) -> None:
    """Say on standard error what is served, and on standard output too for programs."""
    say_ready(ready_text(hub, url))
    if as_json:
        print_json(describe(hub, url))


def report_ready(worker: Worker, hub: Hub, url: str) -> None:
    """Tell the supervisor what it is to say when all are ready."""
    worker.ready({"text": ready_text(hub, url), "endpoints": describe(hub, url)})
