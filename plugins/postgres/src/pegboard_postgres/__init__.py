"""PostgreSQL for the hub: read-only queries, the schema in pieces, and a pool other plugins can share."""

from pegboard_postgres.pool import POSTGRES, Database
from pegboard_postgres.settings import Settings
from pegboard_postgres.target import Target
from pegboard_postgres.tools import hub_plugin

__all__ = ["POSTGRES", "Database", "Settings", "Target", "hub_plugin"]
