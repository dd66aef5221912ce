"""Qdrant for the hub: search, browse and count points, and a pool other plugins can share."""

from pegboard_qdrant.pool import QDRANT, Qdrant
from pegboard_qdrant.settings import Settings
from pegboard_qdrant.target import Target
from pegboard_qdrant.tools import hub_plugin

__all__ = ["QDRANT", "Qdrant", "Settings", "Target", "hub_plugin"]
