"""How to search: which rankings a question needs, by meaning, by words or both, and the one request that asks them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pegboard import ToolError
from pegboard_qdrant import driver
from pegboard_qdrant.names import unknown
from pegboard_qdrant.shape import Shape
from pegboard_qdrant.values import PointId

Mode = Literal["auto", "dense", "text", "hybrid"]

CANDIDATES = 50
"""How many points each ranking brings into a fusion, at least."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """One way to rank points: a query, and the vector or payload key it is about."""

    query: Any = field(repr=False)
    using: str


@dataclass(frozen=True, slots=True)
class Question:
    """What a search was given: words, a vector, or a point to find others like it."""

    text: str | None = None
    vector: Any = field(default=None, repr=False)
    point: PointId | None = None

    @property
    def has_example(self) -> bool:
        """Whether it can be asked by meaning without an embedder."""
        return self.vector is not None or self.point is not None


@dataclass(frozen=True, slots=True)
class Plan:
    """How to search: the mode that was found, the vector if there is one, and the payload keys."""

    mode: Literal["dense", "text", "hybrid"]
    vector: str | None
    texts: tuple[str, ...]

    @property
    def using(self) -> list[str]:
        """What is searched by, for the answer; the default vector has no name."""
        return [*([] if self.vector is None else [self.vector or "vector"]), *self.texts]


def plan(shape: Shape, mode: Mode, using: str | None, question: Question, *, can_embed: bool) -> Plan:
    """Choose how to search for what was given; raises `ToolError` when nothing can rank by it."""
    if using is not None and using not in shape.vector_names and using not in shape.texts:
        what = f"collection {shape.name!r} has nothing to search by that is called"
        raise ToolError(unknown(what, using, [name for name in (*shape.vector_names, *shape.texts) if name]))
    has_text = question.text is not None
    by_meaning = question.has_example or (has_text and can_embed)
    texts = _texts(shape, using) if has_text else ()
    vectors = _vectors(shape, using) if by_meaning else []
    chosen = _mode(mode, bool(vectors), bool(texts))
    if chosen != "dense" and not texts:
        raise ToolError(_no_text(shape, has_text))
    if chosen != "text" and not by_meaning:
        raise ToolError(_no_vector(shape, has_text))
    return Plan(chosen, only(shape, vectors) if chosen != "text" else None, texts if chosen != "dense" else ())


def request(rankings: Sequence[Ranking], limit: int, query_filter: Any, threshold: float | None) -> dict[str, Any]:
    """The arguments of `query_points` for these rankings; several are fused by their ranks (RRF)."""
    models = driver.models()
    if len(rankings) == 1:
        (only,) = rankings
        one = {"query": only.query, "using": only.using or None, "query_filter": query_filter}
        return one if threshold is None else {**one, "score_threshold": threshold}
    branches = [
        models.Prefetch(
            query=each.query, using=each.using or None, filter=query_filter, limit=max(CANDIDATES, 2 * limit)
        )
        for each in rankings
    ]
    fused = {"prefetch": branches, "query": models.FusionQuery(fusion=models.Fusion.RRF)}
    return fused if threshold is None else {**fused, "score_threshold": threshold}


def vector_of(shape: Shape, using: str | None) -> str:
    """The vector called `using`, or the one there is; raises `ToolError` when that is none or not clear."""
    if using is not None and using not in shape.vector_names:
        raise ToolError(unknown(f"collection {shape.name!r} has no vector", using, filter(None, shape.vector_names)))
    return only(shape, _vectors(shape, using))


def recommendation(vector: str, examples: Mapping[str, list[Any]], strategy: str) -> dict[str, Any]:
    """The arguments of `query_points` for points like the positive examples and unlike the negative ones."""
    models = driver.models()
    wanted = models.RecommendInput(**examples, strategy=models.RecommendStrategy(strategy))
    return {"query": models.RecommendQuery(recommend=wanted), "using": vector or None}


def text_query(text: str) -> Any:
    """A query that ranks by words (BM25)."""
    return driver.models().TextQuery(text=text)


def _mode(mode: Mode, has_vectors: bool, has_texts: bool) -> Literal["dense", "text", "hybrid"]:
    if mode != "auto":
        return mode
    return "hybrid" if has_vectors and has_texts else "text" if has_texts else "dense"


def _texts(shape: Shape, using: str | None) -> tuple[str, ...]:
    if using in shape.texts:
        return (str(using),)
    return shape.texts if using is None or using in shape.vector_names else ()


def _vectors(shape: Shape, using: str | None) -> list[str]:
    if using in shape.vector_names:
        return [str(using)]
    return shape.vector_names if using is None else []


def only(shape: Shape, vectors: list[str]) -> str:
    """The vector to search by among these: the default one, or the only dense one."""
    dense = [name for name in vectors if name in shape.vectors] or vectors
    if not dense:
        raise ToolError(f"collection {shape.name!r} has no vectors; search it by words with query_text")
    if len(dense) > 1 and "" not in dense:
        names = ", ".join(f"{name!r} ({_size(shape, name)})" for name in vectors)
        raise ToolError(f"collection {shape.name!r} has several vectors; choose one with using: {names}")
    return "" if "" in dense else dense[0]


def _size(shape: Shape, name: str) -> str:
    return f"{shape.vectors[name].size} numbers" if name in shape.vectors else "sparse"


def _no_text(shape: Shape, has_text: bool) -> str:
    if not has_text:
        return "to search by words, give query_text"
    return (
        f"collection {shape.name!r} has no text index with scoring, so nothing ranks by words; give query_vector or "
        f'point_id, or find words with qdrant_scroll and a filter such as {{"title": {{"text": "..."}}}}'
    )


def _no_vector(shape: Shape, has_text: bool) -> str:
    if not has_text:
        return "nothing to search for; give query_text, query_vector or point_id"
    why = "no embedder is configured, so query_text cannot become a vector"
    if shape.texts:
        return f"{why}; use mode text, or give query_vector or point_id"
    return f"{why}, and {_no_text(shape, has_text)}"
