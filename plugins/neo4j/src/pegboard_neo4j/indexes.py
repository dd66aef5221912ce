"""The indexes and constraints of a graph."""

from dataclasses import dataclass
from typing import Any

from pegboard_neo4j.transaction import Transaction

# Without YIELD *, older servers leave the options out; LOOKUP indexes are always there and say nothing.
INDEXES = (
    "SHOW INDEXES YIELD name, type, entityType, labelsOrTypes, properties, state, owningConstraint "
    "RETURN name, type, entityType, labelsOrTypes, properties, state, owningConstraint"
)
CONSTRAINTS = "SHOW CONSTRAINTS YIELD name, type, entityType, labelsOrTypes, properties"
LOOKUP = "LOOKUP"


@dataclass(frozen=True, slots=True)
class Index:
    """An index, or a constraint."""

    name: str
    type: str
    entity: str
    labels: tuple[str, ...]
    properties: tuple[str, ...]
    state: str = "ONLINE"
    owner: str | None = None

    def __str__(self) -> str:
        labels = "|".join(self.labels)
        pattern = f"(:{labels})" if self.entity == "NODE" else f"-[:{labels}]-"
        state = "" if self.state == "ONLINE" else f" {self.state}"
        return f"{self.name}: {self.type} {pattern} {', '.join(self.properties)}{state}"

    def is_about(self, labels: set[str]) -> bool:
        """Whether it is on one of the labels."""
        return bool(labels & set(self.labels))


async def indexes(transaction: Transaction) -> list[Index]:
    """All indexes but those every graph has."""
    rows = [_index(row) for row in await transaction.rows(INDEXES)]
    return [index for index in rows if index.type != LOOKUP]


async def constraints(transaction: Transaction) -> list[Index]:
    """All constraints."""
    return [_index(row) for row in await transaction.rows(CONSTRAINTS)]


def _index(row: list[Any]) -> Index:
    name, kind, entity, labels, properties, *rest = row
    return Index(str(name), str(kind), str(entity), tuple(labels or ()), tuple(properties or ()), *rest)
