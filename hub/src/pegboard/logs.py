"""Logs: one line for each event on standard error, and no message bodies of anybody."""

import logging
import sys

FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"

QUIET = ("httpx", "httpcore", "mcp", "sse_starlette", "uvicorn", "asyncio")
"""Loggers of others that tell every request at INFO, and whole bodies at DEBUG or in their tracebacks."""


def configure_logging(level: str) -> None:
    """Write the hub's log to standard error; called by the command line only."""
    logging.basicConfig(level=level.upper(), format=FORMAT, stream=sys.stderr, force=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))
    for handler in logging.getLogger().handlers:
        handler.addFilter(_without_bodies)


def _without_bodies(record: logging.LogRecord) -> bool:
    """Keep the SDK's one line about a message it could not parse, and drop the traceback that shows the message."""
    if record.name.startswith(("mcp.", "sse_starlette")) and record.exc_info:
        record.exc_info = record.exc_text = None
    return True
