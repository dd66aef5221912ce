"""Asks PostgreSQL about every function a statement would run by name, and refuses those that may change something."""

import time
from collections import OrderedDict
from collections.abc import Collection, Sequence
from typing import NamedTuple

from pegboard import ToolError
from pegboard_postgres.driver import Connection
from pegboard_postgres.safety.known import HARMLESS, IN_CHANGES, REASONS, reason
from pegboard_postgres.safety.place import placed_byte
from pegboard_postgres.safety.statement import Name, Statement

# What a name may stand for is found as PostgreSQL finds it: by schema, or along the search path. An aggregate runs its
# support functions, a cast the function of pg_cast, and a value of a domain the domain's checks. OFFSET 0 and the array
# keep the planner, which expects too many of everything, from reading whole catalogs and from JIT, which took 0.3 s.
LOOKUP = """WITH RECURSIVE named AS (
  SELECT place, kind, name::name, arguments, CASE schema WHEN 'pg_temp' THEN pg_my_temp_schema()
    ELSE (SELECT oid FROM pg_namespace WHERE nspname = schema) END AS schema, schema IS NOT NULL AS qualified
  FROM unnest($1::text[], $2::text[], $3::text[], $4::int[]) WITH ORDINALITY
    AS n(kind, schema, name, arguments, place)
), types AS (
  SELECT n.place, t.oid FROM named AS n JOIN pg_type AS t ON t.typname = n.name
  WHERE n.kind = 'type' AND CASE WHEN n.qualified THEN t.typnamespace = n.schema ELSE pg_type_is_visible(t.oid) END
  UNION
  SELECT types.place, part.oid FROM types, LATERAL (SELECT * FROM pg_type WHERE oid = types.oid OFFSET 0) AS t,
  LATERAL (
    SELECT t.typbasetype UNION ALL SELECT t.typelem
    UNION ALL SELECT atttypid FROM pg_attribute WHERE attrelid = t.typrelid AND attnum > 0 AND NOT attisdropped
  ) AS part(oid) WHERE part.oid <> 0
), run AS (
  SELECT n.place, p.oid FROM named AS n JOIN pg_proc AS p ON p.proname = n.name
  WHERE n.kind IN ('function', 'attribute')
  AND CASE WHEN n.qualified THEN p.pronamespace = n.schema ELSE pg_function_is_visible(p.oid) END
  AND (n.arguments IS NULL OR n.arguments >= p.pronargs - p.pronargdefaults
    AND (n.arguments <= p.pronargs OR p.provariadic <> 0))
  AND (n.kind = 'function' OR (SELECT typtype IN ('c', 'd', 'p') FROM pg_type WHERE oid = p.proargtypes[0]))
  UNION SELECT n.place, o.oprcode FROM named AS n JOIN pg_operator AS o ON o.oprname = n.name
  WHERE n.kind = 'operator'
  AND CASE WHEN n.qualified THEN o.oprnamespace = n.schema ELSE pg_operator_is_visible(o.oid) END
  UNION SELECT t.place, c.castfunc FROM types AS t JOIN pg_cast AS c ON c.casttarget = t.oid
  UNION SELECT t.place, d.refobjid FROM types AS t JOIN pg_constraint AS c ON c.contypid = t.oid
  JOIN pg_depend AS d ON d.classid = 'pg_constraint'::regclass AND d.objid = c.oid
    AND d.refclassid = 'pg_proc'::regclass
), supported AS (
  SELECT place, oid FROM run
  UNION SELECT r.place, support FROM run AS r JOIN pg_aggregate AS a ON a.aggfnoid = r.oid,
  unnest(ARRAY[aggtransfn, aggfinalfn, aggcombinefn, aggserialfn, aggdeserialfn, aggmtransfn, aggminvtransfn,
    aggmfinalfn]::oid[]) AS support
), suspect AS MATERIALIZED (
  SELECT p.oid, p.pronamespace, p.proname, p.provolatile = 'v' AS volatile, EXISTS (
    SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = p.oid AND deptype = 'e') AS extended
  FROM pg_proc AS p WHERE p.oid = ANY(ARRAY(SELECT oid FROM supported))
  AND (p.provolatile = 'v' OR p.proname || '(' ^@ ANY($5::text[]))
)
SELECT s.place, n.nspname, p.proname, p.volatile, p.extended OR n.nspname = 'pg_catalog'
FROM suspect AS p JOIN supported AS s ON s.oid = p.oid JOIN pg_namespace AS n ON n.oid = p.pronamespace
ORDER BY s.place, n.nspname, p.proname"""

REMEMBERED = 5.0
"""Seconds for which an answer holds; so long does a function that somebody replaces go unnoticed."""
MOST_REMEMBERED = 512
MAX_REMEMBERED_TEXT = 10_000
"""Characters of a statement that is remembered."""


class Suspect(NamedTuple):
    """A function that a statement may run and that is VOLATILE, or has the name of one that is refused."""

    place: int
    schema: str
    name: str
    volatile: bool
    supplied: bool
    """Whether it came with PostgreSQL or with an extension."""

    @property
    def label(self) -> str:
        return f"{self.schema}.{self.name}"


class FunctionCache:
    """What PostgreSQL said lately about the functions of statements; for one database and one role."""

    def __init__(self, seconds: float = REMEMBERED, most: int = MOST_REMEMBERED) -> None:
        self._seconds = seconds
        self._most = most
        self._known: OrderedDict[str, tuple[float, Sequence[Suspect]]] = OrderedDict()

    def get(self, statement: Statement) -> Sequence[Suspect] | None:
        """What is known about the functions of the statement, or `None`."""
        until, suspects = self._known.get(statement.text, (0.0, ()))
        return suspects if time.monotonic() < until else None

    def put(self, statement: Statement, suspects: Sequence[Suspect]) -> None:
        """Remember it for a while, in place of what is oldest; a long text is not kept."""
        if len(statement.text) > MAX_REMEMBERED_TEXT:
            return
        self._known[statement.text] = (time.monotonic() + self._seconds, suspects)
        self._known.move_to_end(statement.text)
        if len(self._known) > self._most:
            self._known.popitem(last=False)


async def check_functions(
    connection: Connection,
    statement: Statement,
    *,
    allow: Collection[str] = (),
    cache: FunctionCache | None = None,
    planned: bool = False,
) -> None:
    """Refuse a statement that names a function which may change something; raises `ToolError`.

    That is what PostgreSQL calls VOLATILE, except for some that are known to be harmless, and some that reach beyond
    the data though they are STABLE. Operators, casts, domains and aggregates count for the functions behind them.
    In a statement that changes rows, VOLATILE functions of the database's own are not refused. `allow` names
    functions that pass anyway, as `schema.name`. `cache` saves the question for a few seconds. `planned` says that a
    change is not run, only planned, as EXPLAIN does.
    """
    suspects = cache.get(statement) if cache is not None else None
    if suspects is None:
        suspects = await _look_up(connection, statement.names)
        if cache is not None:
            cache.put(statement, suspects)
    for suspect in suspects:
        if suspect.label not in allow and _is_refused(suspect, statement, planned or statement.is_explain):
            raise ToolError(_refusal(suspect, statement))


async def _look_up(connection: Connection, names: Sequence[Name]) -> list[Suspect]:
    if not names:
        return []
    columns = zip(*names, strict=True)
    return [Suspect(*record) for record in await connection.fetch(LOOKUP, *map(list, columns), list(REASONS))]


def _is_refused(suspect: Suspect, statement: Statement, planned: bool) -> bool:
    if statement.is_change and (not suspect.supplied or suspect.name in IN_CHANGES):
        # What is only planned runs nothing, but for the checks of a type, with which literals are read.
        return planned and statement.names[suspect.place - 1].kind == "type"
    if suspect.supplied and reason(suspect.name):
        return True
    return suspect.volatile and not (suspect.supplied and suspect.name in HARMLESS)


def _refusal(suspect: Suspect, statement: Statement) -> str:
    index = suspect.place - 1
    where = placed_byte(statement.text, statement.places[index])
    called = f"sql runs {suspect.label}{_by(suspect, statement.names[index])}{where}"
    why = reason(suspect.name) if suspect.supplied else None
    if why:
        return f"{called}: it {why}, and only what reads data is run here"
    return (
        f"{called}: it is VOLATILE, so it may change something; if it only reads, its owner can say so "
        f"(ALTER FUNCTION ... STABLE), or the operator can let it pass in the plugin's settings "
        f'(allow_functions = ["{suspect.label}"])'
    )


def _by(suspect: Suspect, name: Name) -> str:
    """How the statement comes to run the function, where it does not name it."""
    return "" if name.name == suspect.name else f" (by the {name.kind} {name.name})"
