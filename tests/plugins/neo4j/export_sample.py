"""Writes the data file of the graph demo from the sample shop in PostgreSQL, so that both tell one story.

    python -m tests.plugins.neo4j.export_sample

A test fails while the file differs from what this writes.
"""

import gzip
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date
from itertools import combinations
from pathlib import Path
from typing import Any

from pegboard_neo4j import sample as graph
from pegboard_postgres import sample as shop

ORDERS_FROM = date(2025, 11, 1)
REVIEWS_FROM = date(2025, 7, 1)
"""The graph has what is newer; what is bought together is counted over all orders."""

TOGETHER = 6
"""Two products are connected when they were in this many orders together."""

FILE = Path(graph.__file__).with_name(graph.FILE)

Rows = list[list[Any]]


def exported() -> dict[str, Rows]:
    """The parts of the sample shop that become nodes and relationships."""
    tables = shop.tables()
    orders = [row for row in tables["orders"] if row[3].date() >= ORDERS_FROM]
    reviews = [row for row in tables["reviews"] if row[5].date() >= REVIEWS_FROM]
    return {
        "suppliers": _columns(tables["suppliers"], 0, 1, 2, 4),
        "products": _columns(tables["products"], 0, 1, 2, 3, 5, 6, 10),
        "customers": _columns(tables["customers"], 0, 1, 2, 3, 5),
        "cities": sorted({(row[3], row[4]): list(row[3:5]) for row in tables["customers"]}.values()),
        "orders": _columns(orders, 0, 1, 2, 3, 4),
        "order_items": _items(tables, {row[0] for row in orders}),
        "reviews": _columns(reviews, 0, 1, 2, 3, 5),
        "bought_with": _together(tables["order_items"]),
    }


def encoded(rows: Mapping[str, Rows]) -> dict[str, Rows]:
    """The rows as they are read back from the file."""
    return json.loads(json.dumps(rows, default=_plain))


def _columns(rows: Iterable[shop.Row], *numbers: int) -> Rows:
    return [[row[number] for number in numbers] for row in rows]


def _items(tables: Mapping[str, list[shop.Row]], orders: set[int]) -> Rows:
    reasons = {(row[1], row[2]): row[4] for row in tables["returns"]}
    items = [row for row in tables["order_items"] if row[0] in orders]
    return [[*row, reasons.get((row[0], row[1]))] for row in items]


def _together(items: Iterable[shop.Row]) -> Rows:
    baskets: dict[int, set[int]] = {}
    for order, _, product, *_ in items:
        baskets.setdefault(order, set()).add(product)
    pairs = Counter(pair for basket in baskets.values() for pair in combinations(sorted(basket), 2))
    return [[first, second, orders] for (first, second), orders in sorted(pairs.items()) if orders >= TOGETHER]


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else float(value)


if __name__ == "__main__":
    text = json.dumps(encoded(exported()), separators=(",", ":"))
    FILE.write_bytes(gzip.compress(text.encode(), mtime=0))
