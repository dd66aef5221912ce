"""The rows of the sample shop: always the same, and with something to find in them.

Sales double before Christmas and Garden sells in spring; Cameras lose two thirds in two years; since summer 2025
Nordwind Trading delivers late; and in Lisbon far more is sent back than elsewhere, mostly damaged.
"""

import json
import random
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

from pegboard_postgres import sample_words as words
from pegboard_postgres.sample_words import Line, Thing

Row = tuple[Any, ...]

CUSTOMERS = 2_000
ORDERS = 12_000
REVIEWS = 4_000
TICKETS_FROM = 5_000

FIRST_DAY = date(2024, 1, 1)
LAST_DAY = date(2025, 12, 31)
DAYS = (LAST_DAY - FIRST_DAY).days + 1

DECLINING = "Cameras"
LATE = "Nordwind Trading"
LATE_SINCE = date(2025, 7, 1)
FRAGILE_CITY = "Lisbon"

TABLES = ("suppliers", "products", "customers", "orders", "order_items", "returns", "reviews", "support_tickets")
RETURN_REASONS = ("damaged", "wrong item", "not as described", "changed mind")

SEASON = (0.8, 0.75, 0.85, 0.9, 0.95, 0.9, 0.8, 0.8, 0.95, 1.05, 1.6, 1.9)
GARDEN_SEASON = (0.3, 0.5, 1.4, 2.4, 2.6, 1.8, 1.1, 0.8, 0.7, 0.5, 0.2, 0.2)


@dataclass(frozen=True, slots=True)
class Product:
    """What the other rows need to know of a product."""

    id: int
    name: str
    thing: Thing
    price: Decimal
    supplier: str


@dataclass(frozen=True, slots=True)
class Customer:
    """What the other rows need to know of a customer."""

    id: int
    city: str
    joined_at: datetime


@dataclass(frozen=True, slots=True)
class Delivery:
    """An order line that arrived."""

    order: int
    line: int
    customer: Customer
    product: Product
    promised_on: date
    delivered_on: date
    paid: Decimal

    @property
    def late(self) -> bool:
        return self.delivered_on > self.promised_on


@dataclass(slots=True)
class Sample:
    """All rows by table, and what later rows refer to."""

    chance: random.Random
    rows: dict[str, list[Row]] = field(default_factory=dict[str, list[Row]])
    shelves: dict[str, list[Product]] = field(default_factory=dict[str, list[Product]])
    customers: list[Customer] = field(default_factory=list[Customer])
    deliveries: list[Delivery] = field(default_factory=list[Delivery])

    def add(self, table: str, *values: Any) -> None:
        """Append a row; its first value may be left `None` to be numbered from 1."""
        rows = self.rows.setdefault(table, [])
        rows.append((len(rows) + 1, *values[1:]) if values[0] is None else values)


def tables(seed: int = 1) -> dict[str, list[Row]]:
    """The rows by table, in an order in which they can be loaded; takes half a second of processor time."""
    sample = Sample(random.Random(seed))  # noqa: S311 # the same numbers for everybody are the point
    _suppliers(sample)
    _products(sample)
    _customers(sample)
    _orders(sample)
    _returns(sample)
    _reviews(sample)
    _tickets(sample)
    return {table: sample.rows[table] for table in TABLES}


def _suppliers(sample: Sample) -> None:
    for number, supplier in enumerate(words.SUPPLIERS, 1):
        since = date(2012 + number % 9, 1 + number % 12, 1)
        sample.add("suppliers", number, supplier.name, supplier.country, supplier.contact, since)


def _products(sample: Sample) -> None:
    numbers = count(1)
    for category, things in words.CATEGORIES.items():
        sample.shelves[category] = [
            _product(sample, next(numbers), category, thing, line) for thing in things for line in words.LINES
        ]


def _product(sample: Sample, number: int, category: str, thing: Thing, line: Line) -> Product:
    chance = sample.chance
    name = f"{line.name} {thing.name}"
    price = Decimal(round(thing.price * line.factor * chance.uniform(0.9, 1.1))) - Decimal("0.10")
    supplier = chance.choice([each for each in words.SUPPLIERS if category in each.sells or not each.sells])
    material = chance.choice(words.MATERIALS[category])
    about = f"The {name} {thing.does}. Made with {material}; at its best for {thing.use}. {line.says}"
    more = {
        "material": material,
        "weight_g": chance.randrange(80, 4000, 10),
        "warranty_months": chance.choice((12, 24)),
    }
    sample.add(
        "products", number, f"{category[:3].upper()}-{number:04}", name, category, about, price,
        words.SUPPLIERS.index(supplier) + 1, chance.randrange(400), [category.lower(), line.name.lower()],
        json.dumps(more), chance.random() < 0.04,
    )  # fmt: skip
    return Product(number, name, thing, price, supplier.name)


def _customers(sample: Sample) -> None:
    chance = sample.chance
    weights = [city.weight for city in words.CITIES]
    # Four in ten were there before the first order.
    days = sorted(int(DAYS * (chance.random() * 1.7 - 0.7)) for _ in range(CUSTOMERS))
    for number, day in enumerate(days, 1):
        first, last = chance.choice(words.FIRST_NAMES), chance.choice(words.LAST_NAMES)
        email = f"{first}.{last}{number}@mail.example".lower()
        city = chance.choices(words.CITIES, weights)[0]
        joined = _moment(chance, FIRST_DAY + timedelta(days=day))
        newsletter = chance.random() < 0.4
        sample.add("customers", number, f"{first} {last}", email, city.name, city.country, joined, newsletter)
        sample.customers.append(Customer(number, city.name, joined))


def _orders(sample: Sample) -> None:
    chance = sample.chance
    days = [FIRST_DAY + timedelta(days=number) for number in range(DAYS)]
    joined = [customer.joined_at.date() for customer in sample.customers]
    for day in sorted(chance.choices(days, [_demand(day) for day in days], k=ORDERS)):
        # The first half of the customers order more often than the second.
        customer = sample.customers[int(bisect_left(joined, day) * chance.random() ** 1.3)]
        _order(sample, day, customer)


def _order(sample: Sample, day: date, customer: Customer) -> None:
    chance = sample.chance
    number = len(sample.rows.get("orders", ())) + 1
    promised = day + timedelta(days=chance.randint(5, 7))
    cancelled = chance.random() < 0.03
    arrived: list[bool] = []
    for line in range(1, chance.choices((1, 2, 3, 4, 5, 6), (22, 30, 22, 14, 8, 4))[0] + 1):
        product = _pick(chance, sample.shelves, day)
        delivered = None if cancelled else _delivery_day(chance, product, day, promised)
        arrived.append(delivered is not None)
        paid = _discounted(chance, product.price, day)
        quantity = chance.choices((1, 2, 3, 4), (80, 14, 4, 2))[0]
        sample.add("order_items", number, line, product.id, quantity, paid, delivered)
        if delivered is not None:
            sample.deliveries.append(Delivery(number, line, customer, product, promised, delivered, paid * quantity))
    status = "cancelled" if cancelled else "delivered" if all(arrived) else _underway(day)
    sample.add("orders", number, customer.id, status, _moment(chance, day), promised)


def _returns(sample: Sample) -> None:
    chance = sample.chance
    for delivery in sample.deliveries:
        fragile = delivery.customer.city == FRAGILE_CITY
        if chance.random() > (0.15 if fragile else 0.04):
            continue
        day = delivery.delivered_on + timedelta(days=chance.randint(1, 20))
        if day <= LAST_DAY:
            reason = chance.choices(RETURN_REASONS, (80, 5, 5, 10) if fragile else (25, 15, 25, 35))[0]
            sample.add("returns", None, delivery.order, delivery.line, day, reason, delivery.paid)


def _reviews(sample: Sample) -> None:
    chance = sample.chance
    once = {(each.product.id, each.customer.id): each for each in sample.deliveries}
    for delivery in sorted(chance.sample(list(once.values()), REVIEWS), key=lambda each: each.delivered_on):
        rating = chance.choices((1, 2, 3, 4, 5), (20, 25, 25, 20, 10) if delivery.late else (3, 5, 12, 35, 45))[0]
        thing = delivery.product.thing
        opinion = chance.choice(words.OPINIONS[rating]).format(use=thing.use, does=thing.does)
        detail = "It came much later than promised." if delivery.late else chance.choice(words.DETAILS)
        when = _moment(chance, min(delivery.delivered_on + timedelta(days=chance.randint(1, 30)), LAST_DAY))
        sample.add(
            "reviews", None, delivery.product.id, delivery.customer.id, rating, f"{opinion} {detail}".strip(), when
        )


def _tickets(sample: Sample) -> None:
    chance = sample.chance
    for delivery in sorted(chance.sample(sample.deliveries, TICKETS_FROM), key=lambda each: each.delivered_on):
        kind = "late" if delivery.late else chance.choices(("damaged", "invoice", "question", ""), (6, 8, 10, 76))[0]
        if not kind:
            continue
        facts = {"order": delivery.order, "product": delivery.product.name, "promised": delivery.promised_on}
        subject, body = (text.format(**facts) for text in words.TICKETS[kind])
        opened = _moment(chance, delivery.promised_on + timedelta(days=1) if delivery.late else delivery.delivered_on)
        closed = opened + timedelta(minutes=chance.randint(30, 7200))
        sample.add(
            "support_tickets", None, delivery.customer.id, delivery.order,
            "high" if kind == "damaged" else chance.choice(("low", "normal")), subject, body,
            opened, closed if closed.date() <= LAST_DAY else None,
        )  # fmt: skip


def _demand(day: date) -> float:
    """How much is ordered on a day: grows by a quarter a year, high in November and December, low on Saturdays."""
    growth = 1 + (day - FIRST_DAY).days / 365 * 0.25
    return SEASON[day.month - 1] * growth * (0.7 if day.weekday() == 5 else 1)


def _pick(chance: random.Random, shelves: Mapping[str, Sequence[Product]], day: date) -> Product:
    progress = (day - FIRST_DAY).days / DAYS
    weights = dict.fromkeys(shelves, 1 + 0.2 * progress)
    weights[DECLINING] = 1.3 * (1 - 0.8 * progress)
    weights["Garden"] = GARDEN_SEASON[day.month - 1]
    shelf = shelves[chance.choices(list(weights), list(weights.values()))[0]]
    return shelf[int(len(shelf) * chance.random() ** 1.5)]


def _delivery_day(chance: random.Random, product: Product, day: date, promised: date) -> date | None:
    """When a line arrives, or `None` if that is after the last day of the sample."""
    troubled = product.supplier == LATE and day >= LATE_SINCE
    if chance.random() < (0.45 if troubled else 0.05):
        arrival = promised + timedelta(days=chance.randint(1, 12 if troubled else 4))
    else:
        arrival = day + timedelta(days=chance.randint(2, 5))
    return arrival if arrival <= LAST_DAY else None


def _discounted(chance: random.Random, price: Decimal, day: date) -> Decimal:
    percent = 20 if day.month == 11 and day.day >= 20 else chance.choices((0, 10), (90, 10))[0]
    return (price * (100 - percent) / 100).quantize(Decimal("0.01"))


def _underway(day: date) -> str:
    age = (LAST_DAY - day).days
    return "pending" if age < 1 else "paid" if age < 2 else "shipped"


def _moment(chance: random.Random, day: date) -> datetime:
    """A time of that day, most likely in the afternoon."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(
        seconds=int(chance.triangular(0, 86399, 61200))
    )
