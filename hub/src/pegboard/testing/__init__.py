"""Testing: a real hub and a real client in one process, without a port."""

from pegboard.testing.connect import client_of, connect, hub_of
from pegboard.testing.plugins import entry_point

__all__ = ["client_of", "connect", "entry_point", "hub_of"]
