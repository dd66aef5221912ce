"""Writes the texts of the sample shop into the data file of pegboard-qdrant.

Run it by `python -m tests.plugins.qdrant.export_demo` when the sample has changed. The rows come from
pegboard-postgres, which makes them, so that a product or a customer has the same number in both.
"""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pegboard_qdrant
from pegboard_postgres import sample
from pegboard_qdrant.demo import TEXTS

Point = tuple[str, int, dict[str, Any]]
"""Collection, id and payload."""


def points() -> Iterator[Point]:
    """Every text of the shop: what it says of its products, and what customers wrote."""
    tables = sample.tables()
    suppliers = {row[0]: row[1] for row in tables["suppliers"]}
    products = {row[0]: row for row in tables["products"]}
    customers = {row[0]: row for row in tables["customers"]}
    for number, sku, name, category, text, price, supplier, stock, tags, more, gone in products.values():
        yield (
            "products",
            number,
            {
                "text": text, "name": name, "sku": sku, "category": category, "price": float(price), "tags": tags,
                "supplier": suppliers[supplier], "stock": stock, "discontinued": gone, **json.loads(more),
            },
        )  # fmt: skip
    for number, product, customer, rating, text, written in tables["reviews"]:
        yield (
            "reviews",
            number,
            {
                "text": text, "rating": rating, "product_id": product, "product": products[product][2],
                "category": products[product][3], "customer_id": customer, "city": customers[customer][3],
                "written_at": written.isoformat(),
            },
        )  # fmt: skip
    for number, customer, order, priority, subject, text, opened, closed in tables["support_tickets"]:
        yield (
            "tickets",
            number,
            {
                "text": text, "subject": subject, "priority": priority, "customer_id": customer, "order_id": order,
                "city": customers[customer][3], "opened_at": opened.isoformat(),
                "closed_at": closed and closed.isoformat(),
            },
        )  # fmt: skip


def data() -> bytes:
    """The data file's lines: a JSON list of collection, id and payload each."""
    return b"".join(json.dumps(point, ensure_ascii=False).encode() + b"\n" for point in points())


if __name__ == "__main__":
    (Path(pegboard_qdrant.__file__).parent / TEXTS).write_bytes(gzip.compress(data(), mtime=0))
