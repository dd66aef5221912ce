"""What is wrong with a plan, and what to do about it; only what the plan and the catalogs say for sure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NotRequired

from typing_extensions import TypedDict

from pegboard_postgres.changes import quote
from pegboard_postgres.conditions import LIKE, ORDERED, Comparison, comparisons
from pegboard_postgres.plans import Node

BIG = 10_000
"""Rows from which a table is worth an index."""
SELECTIVE = 0.05
"""The share of a table's rows up to which an index is likely to be faster than reading all of it."""
OFF = 10.0
"""How many times an estimate may be off."""
MANY_LOOPS = 1000
MANY_ROWS = 100
CARTESIAN = 1000
STALE = 0.2
STALE_ROWS = 1000
MAX_INDEX_COLUMNS = 3
MAX_WARNINGS = 12
JIT_SHARE = 0.3
JIT_MS = 50.0

TEXTS = frozenset({"text", "character varying"})
"""Types whose conversion to text does not stand in the way of an index."""


class Advice(TypedDict):
    """Something in the plan that costs time, and the remedy."""

    warning: str
    remedy: str
    on: NotRequired[str]


@dataclass(frozen=True, slots=True)
class Table:
    """What the catalogs know of a table in the plan; `rows` is `None` if it was never counted."""

    label: str
    rows: float | None
    modified: int
    types: Mapping[str, str]
    indexes: Sequence[Sequence[str]]

    def has_index_on(self, expressions: Sequence[str]) -> bool:
        """Whether an index begins with one of these columns or expressions."""
        return any(index[0] in expressions for index in self.indexes)


Tables = Mapping[tuple[str, str], Table]


@dataclass(frozen=True, slots=True)
class Known:
    """What is known beside the plan: its tables, and which of the functions in it always give the same result."""

    tables: Tables
    immutable: frozenset[str] = frozenset()

    def table(self, node: Node) -> Table | None:
        """The table a node scans."""
        return self.tables.get(node.relation) if node.relation else None


def warnings(top: Node, known: Known, summary: Mapping[str, Any]) -> list[Advice]:
    """The warnings of a plan, those of single nodes first."""
    found = [warning for node in top.walk() for check in CHECKS for warning in check(node, known)]
    found += [*_misestimates(top, known)[0], *_stale(known), *_jit(summary)]
    return list({warning["warning"]: warning for warning in found}.values())[:MAX_WARNINGS]


def functions(node: Node) -> set[str]:
    """The functions that stand between a column and its comparison."""
    return {c.function for text in node.conditions for c in comparisons(text, node.alias) if c.function}


def _sequential(node: Node, known: Known) -> Iterator[Advice]:
    """A sequential scan of a big table for a few of its rows."""
    table = known.table(node)
    if node.kind != "Seq Scan" or table is None or "Filter" not in node.raw:
        return
    size = _scanned(node) or table.rows or 0.0
    few = (node.actual or 0.0) / node.loops if node.loops else node.rows
    if size < BIG or few > size * SELECTIVE:
        return
    found = comparisons(node.raw["Filter"], node.alias)
    remedy = _index_for(found, table, known)
    if remedy:
        warning = f"reads all {size:,.0f} rows of {table.label} to find {few:,.0f}"
        yield {"warning": warning, "remedy": remedy, "on": table.label}


def _scanned(node: Node) -> float:
    """The rows one loop has read, if it ran."""
    return ((node.actual or 0.0) + node.removed) / node.loops if node.loops else 0.0


def _index_for(found: Sequence[Comparison], table: Table, known: Known) -> str | None:
    """What would let an index serve the comparisons, if that can be told."""
    bare = [c for c in found if c.is_bare and not _converts(c, table)]
    columns = list(dict.fromkeys(c.column for c in bare if c.is_equality))[:MAX_INDEX_COLUMNS]
    ranges = [c.column for c in bare if c.operator in ORDERED and c.column not in columns]
    columns += ranges[:1]
    if columns and not table.has_index_on([_name(column) for column in columns]):
        return _create(table, ", ".join(_name(column) for column in columns))
    return next((remedy for c in found if (remedy := _other_remedy(c, table, known))), None)


def _other_remedy(found: Comparison, table: Table, known: Known) -> str | None:
    column = _name(found.column)
    if found.function is not None and (found.is_equality or found.operator in ORDERED):
        if found.function in known.immutable and found.cast is None:
            return f"{found.function}() hides the column {column}: {_create(table, f'{found.function}({column})')}"
        return f"{found.function}() hides the column {column} from indexes: compare {column} itself, with a range say"
    if found.is_bare and _converts(found, table):
        type_ = table.types[found.column]
        remedy = (
            f"{column} is {type_} and is converted to {found.cast} before it is compared, which no plain index serves: "
            f"compare it with a value of its own type"
        )
        return remedy if table.has_index_on([column]) else f"{remedy}, and {_create(table, column)}"
    if found.operator in LIKE and found.pattern and found.pattern.startswith("%"):
        return (
            f"LIKE with % at its beginning needs a trigram index: CREATE EXTENSION pg_trgm; CREATE INDEX ON "
            f"{table.label} USING gin ({column} gin_trgm_ops)"
        )
    return None


def _converts(found: Comparison, table: Table) -> bool:
    """Whether the column is converted in a way that its index cannot follow."""
    return found.cast is not None and not (found.cast == "text" and table.types.get(found.column) in TEXTS)


def _create(table: Table, columns: str) -> str:
    return f"CREATE INDEX CONCURRENTLY ON {table.label} ({columns})"


def _index_too_wide(node: Node, known: Known) -> Iterator[Advice]:
    """An index scan that throws most of what it found away again."""
    table = known.table(node)
    removed, kept = node.removed, node.actual or 0.0
    if table is None or "Index Cond" not in node.raw or removed < max(BIG, OFF * kept):
        return
    found = [*comparisons(node.raw["Index Cond"], node.alias), *comparisons(node.raw["Filter"], node.alias)]
    columns = list(dict.fromkeys(_name(c.column) for c in found if c.is_bare and c.is_equality))[:MAX_INDEX_COLUMNS]
    if len(columns) > 1:
        warning = f"the index {node.raw['Index Name']} finds {kept + removed:,.0f} rows, and {kept:,.0f} are wanted"
        yield {"warning": warning, "remedy": _create(table, ", ".join(columns)), "on": table.label}


def _nested_loop(node: Node, known: Known) -> Iterator[Advice]:
    """A nested loop that reads a whole table again and again."""
    if node.kind != "Nested Loop" or len(node.children) != 2:
        return
    outer, inner = node.children
    table = known.table(inner)
    times = inner.loops or outer.rows
    if inner.kind != "Seq Scan" or table is None or times < MANY_LOOPS or (table.rows or 0) < MANY_ROWS:
        return
    conditions = [*inner.conditions, *node.conditions]
    columns = [_name(c.column) for text in conditions for c in comparisons(text, inner.alias)]
    yield {
        "warning": f"reads all of {table.label} {times:,.0f} times, once for every row of {outer.on or 'the rest'}",
        "remedy": _create(table, ", ".join(dict.fromkeys(columns))) if columns else "join by columns that are equal",
        "on": table.label,
    }


def _cartesian(node: Node, _: Known) -> Iterator[Advice]:
    """A join of everything with everything."""
    if node.kind != "Nested Loop" or "Join Filter" in node.raw or len(node.children) != 2:
        return
    if node.raw.get("Join Type") != "Inner":
        return
    outer, inner = node.children
    sides = [next((n.on for n in side.walk() if n.on), side.name) for side in (outer, inner)]
    if min(outer.rows, inner.rows) > 1 and outer.rows * inner.rows >= CARTESIAN and not _depends(inner, outer):
        yield {
            "warning": f"combines every row of {sides[0]} with every row of {sides[1]}: {node.rows:,.0f} rows",
            "remedy": "join them by a condition, if one is missing (JOIN ... ON a.id = b.a_id)",
        }


def _depends(inner: Node, outer: Node) -> bool:
    """Whether anything in the inner side speaks of the outer one."""
    aliases = {node.alias for node in outer.walk()} - {""}
    if not aliases:
        return True
    names = "|".join(re.escape(name) for alias in aliases for name in (alias, quote(alias)))
    pattern = re.compile(rf"(?<![\w\"])(?:{names})\.")
    return any(pattern.search(str(value)) for node in inner.walk() for key, value in node.raw.items() if key != "Plans")


def _spilled(node: Node, _: Known) -> Iterator[Advice]:
    """A sort, a hash or a bitmap that did not fit into memory."""
    kilobytes = 0
    if node.raw.get("Sort Space Type") == "Disk":
        kilobytes = 3 * node.raw["Sort Space Used"]
    elif node.raw.get("Disk Usage", 0) > 0:
        kilobytes = node.raw["Disk Usage"] + node.raw.get("Peak Memory Usage", 0)
    elif node.raw.get("Hash Batches", 1) > 1:
        kilobytes = node.raw["Hash Batches"] * node.raw.get("Peak Memory Usage", 0)
    if kilobytes:
        yield {
            "warning": f"{node.name} did not fit into memory and was written to disk",
            "remedy": f"process fewer rows or columns, or raise work_mem to about {kilobytes / 1024 + 1:.0f} MB",
        }
    if node.raw.get("Lossy Heap Blocks", 0) > 0:
        warning = "the bitmap did not fit into memory, so whole pages were checked again"
        yield {"warning": warning, "remedy": "raise work_mem"}


def _heap_fetches(node: Node, known: Known) -> Iterator[Advice]:
    """An index-only scan that has to look at the table all the same."""
    fetches, table = node.raw.get("Heap Fetches", 0), known.table(node)
    if table is not None and fetches >= MANY_LOOPS and fetches > (node.actual or 0.0) / 2:
        yield {
            "warning": f"the index-only scan looked into {table.label} {fetches:,} times all the same",
            "remedy": f"VACUUM {table.label}",
            "on": table.label,
        }


def _misestimates(node: Node, known: Known) -> tuple[list[Advice], bool]:
    """The lowest nodes whose estimate was far off, since those above inherit it; and whether there were any."""
    below = [_misestimates(child, known) for child in node.children]
    found = [warning for warnings, _ in below for warning in warnings]
    if any(off for _, off in below):
        return found, True
    if not node.loops or node.stopped_early or not _is_off(node):
        return found, False
    return [_misestimate(node, known)], True


def _is_off(node: Node) -> bool:
    planned, actual = max(node.raw["Plan Rows"], 1), max(node.raw["Actual Rows"], 1)
    return max(planned, actual) >= MANY_ROWS and max(planned / actual, actual / planned) > OFF


def _misestimate(node: Node, known: Known) -> Advice:
    table = known.table(node)
    columns = [c.column for text in node.conditions for c in comparisons(text, node.alias)]
    columns = list(dict.fromkeys(_name(column) for column in columns))
    remedy = f"ANALYZE {table.label}" if table else "ANALYZE the tables below this node"
    if table and len(columns) > 1:
        remedy += f"; if that does not help: CREATE STATISTICS ON {', '.join(columns)} FROM {table.label}"
    where = f"{node.name} on {node.on}" if node.on else node.name
    planned, actual = node.raw["Plan Rows"], node.raw["Actual Rows"]
    return {"warning": f"{where} was estimated at {planned:,.0f} rows and gave {actual:,.0f}", "remedy": remedy}


def _stale(known: Known) -> Iterator[Advice]:
    """Tables whose statistics are missing, or older than many changes."""
    for table in known.tables.values():
        if table.rows is None:
            warning = f"{table.label} was never analyzed, so the estimates are guesses"
        elif table.modified > STALE_ROWS + STALE * table.rows:
            warning = f"{table.modified:,} rows of {table.label} have changed since it was analyzed"
        else:
            continue
        yield {"warning": warning, "remedy": f"ANALYZE {table.label}", "on": table.label}


def _jit(summary: Mapping[str, Any]) -> Iterator[Advice]:
    spent = summary.get("JIT", {}).get("Timing", {}).get("Total", 0.0)
    if spent > JIT_MS and spent > JIT_SHARE * summary.get("Execution Time", spent):
        yield {"warning": f"compiling the query (JIT) took {spent:.0f} ms", "remedy": "SET jit = off for this role"}


def _name(column: str) -> str:
    return column if re.fullmatch(r"[a-z_][a-z0-9_]*", column) else quote(column)


CHECKS = (_sequential, _index_too_wide, _nested_loop, _cartesian, _spilled, _heap_fetches)
"""What is looked at in every node."""
