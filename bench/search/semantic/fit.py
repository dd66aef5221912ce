# pyright: basic, reportMissingImports=false
# numpy and scipy live in the training's own environment, see train.py.
"""The fit: one vector for each word, so that the mean over a text comes near to what the teacher says of the text."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_matrix

DIMENSIONS = 64
WORDS = 27_000
SEEN = 3
"""Texts a word must stand in to be worth its 64 bytes, unless it is a word of the teacher's own."""
PULL = 2.0
"""How strongly a word is held to what the teacher says of it alone; worth about so many texts."""
STEPS = 40
"""Steps of conjugate gradients; the residual is below a thousandth by then."""


def directions(embedded: np.ndarray) -> np.ndarray:
    """The `DIMENSIONS` directions in which the texts differ most, as columns."""
    _, vectors = np.linalg.eigh(embedded.T @ embedded / len(embedded))
    return vectors[:, ::-1][:, :DIMENSIONS].astype(np.float32)


def vocabulary(texts: Sequence[Sequence[str]], own: Sequence[str]) -> list[str]:
    """The words worth a vector: those of most texts, then what else the teacher has as one piece."""
    seen = Counter(word for text in texts for word in set(text) if word.isascii() and word.isalpha())
    frequent = [word for word, count in sorted(seen.items(), key=lambda item: (-item[1], item[0])) if count >= SEEN]
    return list(dict.fromkeys([*frequent, *own]))[:WORDS]


def fit(rows: Sequence[Sequence[str]], targets: np.ndarray, words: Sequence[str], start: np.ndarray) -> np.ndarray:
    """Vectors of the words: least squares on the texts, with a pull of each towards `start`.

    Longer texts count more, as they have more to say about more words.
    """
    place = {word: index for index, word in enumerate(words)}
    known = [[place[word] for word in dict.fromkeys(row) if word in place] for row in rows]
    lengths = np.array([max(1, len(row)) for row in known])
    matrix = csr_matrix(
        (
            np.repeat(1 / np.sqrt(lengths), [len(row) for row in known]).astype(np.float32),
            np.concatenate([np.array(row, dtype=np.int64) for row in known]),
            np.concatenate([[0], np.cumsum([len(row) for row in known])]),
        ),
        shape=(len(rows), len(words)),
    )
    wanted = targets * np.sqrt(lengths)[:, None].astype(np.float32)
    return _solve(matrix, wanted, start)


def _solve(matrix: csr_matrix, wanted: np.ndarray, start: np.ndarray) -> np.ndarray:
    turned = matrix.T.tocsr()

    def apply(vectors: np.ndarray) -> np.ndarray:
        return turned @ (matrix @ vectors) + PULL * vectors

    solution = start.copy()
    residual = turned @ wanted + PULL * start - apply(solution)
    direction, size = residual.copy(), (residual * residual).sum(axis=0)
    for _ in range(STEPS):
        applied = apply(direction)
        step = size / np.maximum((direction * applied).sum(axis=0), 1e-12)
        solution += step * direction
        residual -= step * applied
        size, before = (residual * residual).sum(axis=0), size
        direction = residual + size / np.maximum(before, 1e-12) * direction
    return solution
