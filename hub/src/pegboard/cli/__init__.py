"""The command line: `pegboard COMMAND`, one module for each command."""

from pegboard.cli.app import main

__all__ = ["main"]
