"""What is measured: how much of what was wanted is found, how high it stands, and how long that takes."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, quantiles

from bench.search.rankers import Rank
from bench.search.sets import Catalogue, Question


@dataclass(frozen=True, slots=True)
class Quality:
    """Means over questions: the part of the wanted tools among the first 1, 5 and 10, and 1 over the first place."""

    recall1: float
    recall5: float
    recall10: float
    mrr: float


@dataclass(frozen=True, slots=True)
class Speed:
    """Seconds: to make the index, and for a query."""

    build: float
    p50: float
    p95: float


def measure(
    make: Callable[[Catalogue], Rank], catalogue: Catalogue, questions: Sequence[Question]
) -> tuple[Quality, Speed]:
    """Make a ranker for the catalogue and ask it every question."""
    started = time.perf_counter()
    rank = make(catalogue)
    build = time.perf_counter() - started
    answers: list[Sequence[str]] = []
    taken: list[float] = []
    for question in questions:
        started = time.perf_counter()
        answers.append(rank(question.query))
        taken.append(time.perf_counter() - started)
    percentiles = quantiles(taken, n=100, method="inclusive")
    return quality(questions, answers), Speed(build, percentiles[49], percentiles[94])


def quality(questions: Sequence[Question], answers: Sequence[Sequence[str]]) -> Quality:
    pairs = [(question.wanted, answer) for question, answer in zip(questions, answers, strict=True)]

    def recall(depth: int) -> float:
        return fmean(len(wanted.intersection(answer[:depth])) / len(wanted) for wanted, answer in pairs)

    return Quality(recall(1), recall(5), recall(10), fmean(_reciprocal(*pair) for pair in pairs))


def _reciprocal(wanted: frozenset[str], answer: Sequence[str]) -> float:
    return next((1 / place for place, name in enumerate(answer, 1) if name in wanted), 0.0)


def macro(qualities: Sequence[Quality]) -> Quality:
    """The mean over sets, each counting the same."""
    return Quality(
        fmean(one.recall1 for one in qualities),
        fmean(one.recall5 for one in qualities),
        fmean(one.recall10 for one in qualities),
        fmean(one.mrr for one in qualities),
    )
