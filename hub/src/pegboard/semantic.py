"""Meaning: which words and tools are near to a query that uses other words, by word vectors shipped with the package.

Needs the extra `pegboard[semantic]`. The vectors are made by `bench/search/semantic/train.py`; `semantic.txt` beside
them names what they are made from.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from importlib.resources import files
from io import BytesIO

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]

NEAR = 0.4
"""Words whose vectors have a smaller cosine are not related."""
MOST = 6
"""Words of the catalogue that one word of a query can be near to, itself among them."""
TINY = 1e-9
"""In place of a length of zero."""


class WordVectors:
    """A lexicon: one vector for each of some thousand English words. Reads the package's file once, when made."""

    def __init__(self) -> None:
        content = BytesIO(files("pegboard").joinpath("semantic.npz").read_bytes())
        with np.load(content, allow_pickle=False) as stored:
            listed = bytes(stored["words"]).decode("ascii").split()
            self._vectors: Vectors = stored["vectors"].astype(np.float32) * stored["scales"].astype(np.float32)[:, None]
        self._rows = {word: row for row, word in enumerate(listed)}

    def meaning(self, tools: Sequence[Sequence[str]], vocabulary: Collection[str]) -> "VectorMeaning":
        """Make what one index asks; see `pegboard.search.Lexicon`."""
        return VectorMeaning(self, tools, vocabulary)

    def of(self, words: Iterable[str]) -> Vectors:
        """The vectors of the words that have one, a row each, in their order."""
        return self._vectors[[row for row in map(self._rows.get, words) if row is not None]]

    def mean(self, words: Iterable[str]) -> Vectors:
        """Where a text lies, at length one; all zeros when none of its words has a vector."""
        total: Vectors = self.of(dict.fromkeys(words)).sum(axis=0)
        return total / max(float(np.sqrt(total @ total)), TINY)

    def __contains__(self, word: str) -> bool:
        return word in self._rows


class VectorMeaning:
    """What the words and tools of one catalogue mean, for `pegboard.search.Index`."""

    def __init__(self, lexicon: WordVectors, tools: Sequence[Sequence[str]], vocabulary: Collection[str]) -> None:
        self._lexicon = lexicon
        self._vocabulary = sorted(word for word in vocabulary if word in lexicon)
        self._words = _unit(lexicon.of(self._vocabulary))
        self._tools: Vectors = np.array([lexicon.mean(words) for words in tools], dtype=np.float32)

    def related(self, query: Sequence[str]) -> Mapping[str, float]:
        """The `MOST` nearest words of the catalogue for each word of the query, if they are near enough."""
        found: dict[str, float] = {}
        for cosines in _unit(self._lexicon.of(query)) @ self._words.T:
            near = np.flatnonzero(cosines > NEAR)
            nearest: list[int] = near[np.argsort(-cosines[near], kind="stable")][:MOST].tolist()
            for place in nearest:
                word = self._vocabulary[place]
                found[word] = max(found.get(word, 0.0), float(cosines[place]))
        return found

    def nearness(self, texts: Sequence[Sequence[str]]) -> Sequence[float]:
        """The cosine between each tool and the nearest of the texts."""
        if not len(self._tools):
            return []
        return (self._tools @ np.array([self._lexicon.mean(words) for words in texts]).T).max(axis=1).tolist()


def _unit(vectors: Vectors) -> Vectors:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), TINY)
