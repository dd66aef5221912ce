"""What a collection is: its vectors, the texts it can rank, its indexes, and how many points it has."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast


@dataclass(frozen=True, slots=True)
class Dense:
    """A dense vector: how many numbers, compared how, and whether a point has several rows of it."""

    size: int
    distance: str
    multi: bool = False


@dataclass(frozen=True, slots=True)
class Shape:
    """A collection as Qdrant describes it. The default vector is called by the empty string."""

    name: str
    points: int
    status: str
    vectors: Mapping[str, Dense] = field(default_factory=dict[str, Dense])
    sparse: Mapping[str, str | None] = field(default_factory=dict[str, str | None])
    """Sparse vectors, and their modifier (`idf`)."""
    texts: tuple[str, ...] = ()
    """Payload keys whose text index can rank (BM25)."""
    indexes: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def vector_names(self) -> list[str]:
        return [*self.vectors, *self.sparse]


def shape_of(name: str, info: Any) -> Shape:
    """The shape of a `CollectionInfo`."""
    params = info.config.params
    dense: Any = params.vectors or {}
    sparse: dict[str, Any] = params.sparse_vectors or {}
    indexes: dict[str, Any] = info.payload_schema or {}
    named = cast(dict[str, Any], dense) if isinstance(dense, dict) else {"": dense}
    return Shape(
        name=name,
        points=info.points_count or 0,
        status=str(info.status.value),
        vectors={key: _dense(one) for key, one in named.items()},
        sparse={key: _modifier(one) for key, one in sparse.items()},
        texts=tuple(key for key, index in indexes.items() if getattr(index.params, "scoring", None)),
        indexes={key: str(index.data_type.value) for key, index in indexes.items()},
    )


def _dense(params: Any) -> Dense:
    return Dense(params.size, str(params.distance.value), params.multivector_config is not None)


def _modifier(params: Any) -> str | None:
    modifier = getattr(params, "modifier", None)
    return None if modifier is None else str(modifier.value)
