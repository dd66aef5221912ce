"""Run a double: `python -m pegboard_awx.double --port 0`."""

import argparse
import sys
from collections.abc import Sequence

import anyio

from pegboard_awx.double.app import Double
from pegboard_awx.double.serving import serving


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until the process is ended; the first line of the output is the URL."""
    parser = argparse.ArgumentParser(prog="pegboard_awx.double", description="AWX, as a test double.")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--speed", type=float, default=1.0, help="seconds of AWX in a real second; 0 stops the clock")
    parser.add_argument("--platform", action="store_true", help="be the controller of an Automation Platform")
    parser.add_argument("--root", default="", help="a path before /api/")
    given = parser.parse_args(arguments)
    double = Double(platform=given.platform, root=given.root, speed=given.speed)
    anyio.run(_serve, double, given.port)


async def _serve(double: Double, port: int) -> None:
    async with serving(double, port) as url:
        sys.stdout.write(f"{url}\n")
        sys.stdout.flush()
        await anyio.sleep_forever()


if __name__ == "__main__":
    main()
