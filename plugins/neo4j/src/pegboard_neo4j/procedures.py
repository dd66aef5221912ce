"""Which procedures and functions with a dot in their name may be called: those known to do nothing but read."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

PROCEDURES = (
    "db.labels",
    "db.relationshiptypes",
    "db.propertykeys",
    "db.info",
    "db.ping",
    "db.schema.visualization",
    "db.schema.nodetypeproperties",
    "db.schema.reltypeproperties",
    "db.index.fulltext.querynodes",
    "db.index.fulltext.queryrelationships",
    "db.index.fulltext.listavailableanalyzers",
    "db.index.vector.querynodes",
    "db.index.vector.queryrelationships",
    "dbms.components",
    "dbms.info",
    "dbms.showcurrentuser",
)

FUNCTIONS = (
    *(f"{kind}.{what}" for kind in ("date", "datetime", "localdatetime", "time", "localtime") for what in (
        "truncate", "transaction", "statement", "realtime",
    )),
    "datetime.fromepoch",
    "datetime.fromepochmillis",
    "duration.between",
    "duration.inmonths",
    "duration.indays",
    "duration.inseconds",
    "point.distance",
    "point.withinbbox",
    "vector.similarity.*",
    "db.namefromelementid",
    "coll.*",
    "graph.names",
    "graph.propertiesbyname",
)  # fmt: skip

APOC = (
    "apoc.version",
    "apoc.help",
    "apoc.meta.schema",
    "apoc.meta.data",
    "apoc.meta.data.of",
    "apoc.meta.stats",
    "apoc.meta.nodetypeproperties",
    "apoc.meta.reltypeproperties",
    "apoc.meta.cypher.type",
    "apoc.meta.cypher.types",
    "apoc.meta.cypher.istype",
    "apoc.path.expand",
    "apoc.path.expandconfig",
    "apoc.path.subgraphnodes",
    "apoc.path.subgraphall",
    "apoc.path.spanningtree",
    "apoc.path.elements",
    "apoc.path.combine",
    "apoc.path.slice",
    "apoc.neighbors.*",
    "apoc.algo.*",
    "apoc.agg.*",
    "apoc.any.*",
    "apoc.bitwise.*",
    "apoc.coll.*",
    "apoc.convert.to*",
    "apoc.convert.from*",
    "apoc.convert.getjson*",
    "apoc.date.*",
    "apoc.diff.*",
    "apoc.json.path",
    "apoc.label.exists",
    "apoc.map.*",
    "apoc.math.*",
    "apoc.node.degree*",
    "apoc.node.id",
    "apoc.node.labels",
    "apoc.node.relationship*",
    "apoc.nodes.connected",
    "apoc.nodes.isdense",
    "apoc.number.*",
    "apoc.rel.*",
    "apoc.schema.nodes",
    "apoc.schema.relationships",
    "apoc.schema.properties.distinct*",
    "apoc.scoring.*",
    "apoc.stats.degrees",
    "apoc.temporal.*",
    "apoc.text.*",
)
"""The parts of APOC that only read, for who opts in. What runs Cypher from a string is not among them, nor is what
loads, exports, locks, sleeps or tells the server's configuration."""

NEVER = frozenset({"eval"})
"""Functions without a dot that run code on some engine."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """What may be called beside Cypher's own: patterns like `apoc.text.*`, in lower case."""

    procedures: tuple[str, ...] = PROCEDURES
    functions: tuple[str, ...] = FUNCTIONS

    @classmethod
    def of(cls, extra: Sequence[str] = ()) -> "Allowed":
        """The defaults and `extra` patterns; the word `apoc` stands for the parts of APOC that only read."""
        patterns = tuple(part for name in extra for part in (APOC if name.lower() == "apoc" else (name.lower(),)))
        return cls((*PROCEDURES, *patterns), (*FUNCTIONS, *patterns))

    def procedure(self, name: str) -> bool:
        """Whether the procedure may be called."""
        return _matches(name, self.procedures)

    def function(self, name: str) -> bool:
        """Whether the function may be called; those without a dot are Cypher's own."""
        return name.lower() not in NEVER if "." not in name else _matches(name, self.functions)


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name.lower(), pattern) for pattern in patterns)
