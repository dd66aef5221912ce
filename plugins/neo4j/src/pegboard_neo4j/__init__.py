"""Neo4j, and what speaks Bolt like it, for the hub: reading by Cypher, the schema, paths, search, and a shared pool."""

from pegboard_neo4j.pool import NEO4J, Graph
from pegboard_neo4j.settings import Settings
from pegboard_neo4j.target import Target
from pegboard_neo4j.tools import hub_plugin

__all__ = ["NEO4J", "Graph", "Settings", "Target", "hub_plugin"]
