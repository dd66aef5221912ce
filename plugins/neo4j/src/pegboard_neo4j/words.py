"""The words of Cypher the guard knows, in capitals."""

# fmt: off
READS = frozenset({"MATCH", "OPTIONAL", "WITH", "UNWIND", "RETURN", "CALL", "SHOW", "LET", "FILTER", "FOR", "WHEN"})
"""What a statement that reads begins with."""

WRITES = frozenset({"CREATE", "MERGE", "SET", "DELETE", "DETACH", "NODETACH", "REMOVE", "INSERT", "FOREACH"})
"""What `neo4j_write` may do besides."""

REFUSED = frozenset({"DROP", "LOAD", "USE", "TERMINATE"})

ADMIN = frozenset({
    "GRANT", "DENY", "REVOKE", "ALTER", "RENAME", "START", "STOP", "ENABLE", "DEALLOCATE", "REALLOCATE", "DRYRUN",
})
"""They begin statements only, so that they may be names of variables: `MATCH (start)`."""

MODES = frozenset({"EXPLAIN", "PROFILE"})

OPTIONS = frozenset({
    "RUNTIME", "PLANNER", "REPLAN", "OPERATORENGINE", "EXPRESSIONENGINE", "INTERPRETEDPIPESFALLBACK",
    "CONNECTCOMPONENTSPLANNER", "PARALLELRUNTIMESUPPORT",
})
"""What may follow `CYPHER`."""

SHOWN = frozenset({
    "INDEX", "INDEXES", "CONSTRAINT", "CONSTRAINTS", "FUNCTION", "FUNCTIONS", "PROCEDURE", "PROCEDURES",
})
"""What may be shown."""

SHOW_KINDS = frozenset({
    "ALL", "RANGE", "TEXT", "POINT", "FULLTEXT", "VECTOR", "LOOKUP", "BTREE", "UNIQUE", "UNIQUENESS", "KEY", "NODE",
    "REL", "RELATIONSHIP", "PROPERTY", "TYPE", "EXIST", "EXISTS", "EXISTENCE", "BUILT", "IN", "USER", "DEFINED",
})
"""What may stand between SHOW and what is shown."""

BEFORE_A_VALUE = frozenset({
    "AS", "IN", "WHERE", "AND", "OR", "XOR", "NOT", "RETURN", "WITH", "UNWIND", "BY", "DISTINCT", "WHEN", "THEN",
    "ELSE", "CASE", "YIELD", "IS", "CONTAINS",
})
"""A word behind one of these, or behind one of the signs, is the name of a variable."""

SIGNS_BEFORE_A_VALUE = frozenset({"(", ",", "[", "=", "<", ">", "+", "-", "/", "%", "^"})

AFTER_A_VALUE = frozenset({
    "WHERE", "ORDER", "MATCH", "OPTIONAL", "WITH", "RETURN", "UNWIND", "SKIP", "LIMIT", "OFFSET", "IS", "IN", "AND",
    "OR", "XOR", "AS", "STARTS", "ENDS", "CONTAINS", "ASC", "DESC", "ASCENDING", "DESCENDING", "UNION", "WHEN", "THEN",
    "ELSE", "END", "CALL",
})
"""No procedure is called by one of these words."""
# fmt: on
