"""The graph of the sample shop: the customers, orders and products of its tables, and what no table knows.

Who gets goods from whom, and who delivers where: Nordwind Trading delivers late since its goods come, through a second
company, from a maker that stands still, and two more suppliers depend on that one; and Lisbon has a single carrier.
"""

import gzip
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from importlib.resources import files
from typing import Any

FILE = "sample.json.gz"

KEYS = {
    "Supplier": "id",
    "Product": "id",
    "Customer": "id",
    "Order": "id",
    "Category": "name",
    "City": "name",
    "Maker": "name",
    "Carrier": "name",
}
"""The labels, and the property that is different on each node; `id` is the key in PostgreSQL."""

STANDS_STILL = "Kestrel Components"
ONLY_CARRIER = "Atlas Parcels"

MAKERS = {
    "Arno Leather": ("Italy", None),
    "Bohemia Glass": ("Czechia", None),
    "Duero Alloys": ("Spain", None),
    "Kalmar Timber": ("Sweden", None),
    STANDS_STILL: ("Slovakia", date(2025, 6, 20)),
    "Loire Weavers": ("France", None),
    "Ostsee Import": ("Germany", None),
    "Silesia Steel": ("Poland", None),
    "Skagen Lamps": ("Denmark", None),
    "Tatra Electronics": ("Slovakia", None),
    "Ticino Optics": ("Switzerland", None),
}
"""Country, and since when nothing is made there."""

SOURCES = {
    "Alder & Sons": ("Kalmar Timber", "Silesia Steel"),
    "Baltic Woodworks": ("Kalmar Timber",),
    "Casa Ribeiro": ("Arno Leather", "Duero Alloys"),
    "Delft Ceramics": ("Bohemia Glass",),
    "Elbe Instruments": ("Tatra Electronics", "Ticino Optics"),
    "Fjord Outdoor": ("Loire Weavers", "Duero Alloys"),
    "Galerie Textile": ("Loire Weavers",),
    "Helvetia Optics": ("Ticino Optics",),
    "Iberia Sport": ("Duero Alloys",),
    "Juno Paper Mill": ("Kalmar Timber",),
    "Kranich Audio": ("Kalmar Timber", "Silesia Steel"),
    "Lumen Works": ("Skagen Lamps", "Bohemia Glass"),
    "Molino Kitchen": ("Silesia Steel", "Duero Alloys"),
    "Nordwind Trading": ("Ostsee Import",),
    "Orchard Tools": ("Silesia Steel",),
    "Praha Toys": ("Kalmar Timber",),
}
"""Where suppliers get what they deliver."""

PARTS = {
    "Ostsee Import": (STANDS_STILL,),
    "Skagen Lamps": ("Bohemia Glass", STANDS_STILL),
    "Tatra Electronics": (STANDS_STILL,),
    "Ticino Optics": ("Bohemia Glass",),
    "Arno Leather": ("Loire Weavers",),
}
"""Where makers get theirs."""

CARRIERS = {
    ONLY_CARRIER: ("Lisbon",),
    "Canal Koerier": ("Amsterdam", "Utrecht", "Dublin", "Copenhagen"),
    "Colis Etoile": ("Paris", "Lyon", "Turin"),
    "Correo Sol": ("Madrid", "Valencia", "Porto"),
    "Nordfrakt": ("Copenhagen", "Stockholm", "Oslo", "Helsinki"),
    "Po Express": ("Milan", "Turin", "Zurich"),
    "Rapid Kurier": ("Berlin", "Hamburg", "Munich", "Vienna", "Zurich", "Prague", "Warsaw"),
    "Meridian": (
        "Berlin", "Hamburg", "Munich", "Vienna", "Paris", "Lyon", "Madrid", "Valencia", "Porto", "Milan", "Amsterdam",
        "Utrecht", "Stockholm", "Oslo", "Helsinki", "Warsaw", "Prague", "Dublin",
    ),
}  # fmt: skip
"""Where they deliver."""

Row = dict[str, Any]
Table = Sequence[Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Edges:
    """Relationships of one type: each row has the keys of its two ends and its properties."""

    type: str
    start: str
    end: str
    rows: list[Row]


@dataclass(frozen=True, slots=True)
class Sample:
    """The whole graph: nodes by label, then relationships."""

    nodes: dict[str, list[Row]]
    edges: list[Edges]

    def statements(self) -> list[tuple[str, list[Row]]]:
        """What creates the graph, in order: Cypher, and the rows for its parameter `rows`."""
        nodes = [(f"UNWIND $rows AS row CREATE (n:{label}) SET n = row", rows) for label, rows in self.nodes.items()]
        return [*nodes, *((_connect(edges), edges.rows) for edges in self.edges)]


def read() -> dict[str, Any]:
    """The rows of the sample shop's tables that the graph is made of."""
    return json.loads(gzip.decompress((files("pegboard_neo4j") / FILE).read_bytes()))


def sample() -> Sample:
    """The graph; takes a tenth of a second of processor time."""
    tables = read()
    return Sample(_nodes(tables), [*_sales(tables), *_range(tables), *_chain(tables)])


def constraints() -> list[str]:
    """What makes the keys unique and quickly found."""
    return [f"CREATE CONSTRAINT IF NOT EXISTS FOR (n:{label}) REQUIRE n.{key} IS UNIQUE" for label, key in KEYS.items()]


def _nodes(tables: Mapping[str, Table]) -> dict[str, list[Row]]:
    day, moment = date.fromisoformat, datetime.fromisoformat
    return {
        "Supplier": [{"id": n, "name": name, "country": c, "since": day(s)} for n, name, c, s in tables["suppliers"]],
        "Product": [
            {"id": n, "sku": sku, "name": name, "price": price, "discontinued": gone}
            for n, sku, name, _, price, _, gone in tables["products"]
        ],
        "Customer": [
            {"id": n, "name": name, "email": email, "joined_at": moment(joined)}
            for n, name, email, _, joined in tables["customers"]
        ],
        "Order": [
            {"id": n, "status": status, "ordered_at": moment(ordered), "promised_on": day(promised)}
            for n, _, status, ordered, promised in tables["orders"]
        ],
        "Category": [{"name": name} for name in sorted({row[3] for row in tables["products"]})],
        "City": [{"name": name, "country": country} for name, country in tables["cities"]],
        "Maker": [_given(name=name, country=c, halted_on=halted) for name, (c, halted) in MAKERS.items()],
        "Carrier": [{"name": name} for name in CARRIERS],
    }


def _sales(tables: Mapping[str, Table]) -> list[Edges]:
    promised = {row[0]: row[4] for row in tables["orders"]}
    return [
        Edges("LIVES_IN", "Customer", "City", [_row(row[0], row[3]) for row in tables["customers"]]),
        Edges("PLACED", "Customer", "Order", [_row(row[1], row[0]) for row in tables["orders"]]),
        Edges("CONTAINS", "Order", "Product", [_line(promised[row[0]], *row) for row in tables["order_items"]]),
        Edges("REVIEWED", "Customer", "Product", [_review(*row) for row in tables["reviews"]]),
    ]


def _range(tables: Mapping[str, Table]) -> list[Edges]:
    together = tables["bought_with"]
    return [
        Edges("IN", "Product", "Category", [_row(row[0], row[3]) for row in tables["products"]]),
        Edges("SUPPLIES", "Supplier", "Product", [_row(row[5], row[0]) for row in tables["products"]]),
        Edges("BOUGHT_WITH", "Product", "Product", [_row(a, b, orders=orders) for a, b, orders in together]),
    ]


def _chain(tables: Mapping[str, Table]) -> list[Edges]:
    numbers = {name: number for number, name, *_ in tables["suppliers"]}
    sources = {numbers[supplier]: makers for supplier, makers in SOURCES.items()}
    return [
        Edges("SOURCES_FROM", "Supplier", "Maker", _pairs(sources)),
        Edges("SOURCES_FROM", "Maker", "Maker", _pairs(PARTS)),
        Edges("DELIVERS_TO", "Carrier", "City", _pairs(CARRIERS)),
    ]


def _connect(edges: Edges) -> str:
    start = f"(a:{edges.start} {{{KEYS[edges.start]}: row.start}})"
    end = f"(b:{edges.end} {{{KEYS[edges.end]}: row.end}})"
    return f"UNWIND $rows AS row MATCH {start}, {end} CREATE (a)-[r:{edges.type}]->(b) SET r = row.properties"


def _line(promised: str, order: int, line: int, product: int, quantity: int, price: float, *after: str | None) -> Row:
    delivered, returned = after
    day = date.fromisoformat(delivered) if delivered else None
    late = delivered > promised if delivered else None
    facts = {"line": line, "quantity": quantity, "unit_price": price}
    return _row(order, product, **facts, delivered_on=day, late=late, returned=returned)


def _review(number: int, product: int, customer: int, rating: int, at: str) -> Row:
    return _row(customer, product, id=number, rating=rating, reviewed_at=datetime.fromisoformat(at))


def _pairs(ends: Mapping[Any, Iterable[Any]]) -> list[Row]:
    return [_row(start, end) for start, each in ends.items() for end in each]


def _row(start: Any, end: Any, **properties: Any) -> Row:
    return {"start": start, "end": end, "properties": _given(**properties)}


def _given(**properties: Any) -> Row:
    """The properties that have a value; a graph has no empty ones."""
    return {name: value for name, value in properties.items() if value is not None}
