"""Search: tools ranked by how well they answer a query."""

import heapq
import math
import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

LONGEST = 4_000
"""Characters of a query or of a field that count, so that a pasted file costs no more than a long question."""

FIELDS: Mapping[str, float] = {
    "name": 2.0,
    "title": 2.0,
    "plugin": 0.5,
    "group": 0.5,
    "description": 1.0,
    "parameters": 0.5,
    "parameter descriptions": 0.25,
}
"""What a word counts by where it stands. Half or double moves macro recall by a point or two: `make bench-search`."""

ABOUT = 5
"""So many fields, from the first, say what a tool is about; the others say how it is called."""
REPEATED = 1.5
"""How fast a word counts less when it is repeated: BM25's k1."""
LONG = 0.5
"""How much less a word counts in a long text than in a short one: BM25's b."""
SENTENCES = 8
"""Sentences of a query that are looked at one by one; a question for several tools seldom has more."""
PLUGIN = 0.1
"""What the best plugin's tools gain, as a part of the best score. More helps a question that is about one plugin and
harms one that is about several; no plugin is ever left out."""
RELATED = 0.3
"""What a word counts that only means the same as one of the query's."""
LIFTED = 100
"""Tools that can gain by their plugin; no answer has as many."""
MEANING = 0.5
"""What a tool's meaning adds that is exactly the query's, when the best match in words counts 1."""

_SAID_WITHOUT_MEANING = """
a about an and any are as at be been but by can could did do does for from had has have how i if in into is it its just
like me my need of on or our please so some such than that the their them then there these they this those to too us
want was we were what when where which who will with would you your d ll m re s t ve
"""
STOP_WORDS = frozenset(_SAID_WITHOUT_MEANING.split())
UNCHANGED = frozenset({"news"})
SUFFIXES = ("ing", "ion", "er", "or", "ed", "ly", "e")

RUN = re.compile(r"[^\W\d_]+|\d+")
HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
IDENTIFIER = re.compile(r"\w[\w.-]*\w")
SEPARATORS = re.compile(r"[\W_]+")
SENTENCE_END = re.compile(r"[.?!;\n]+\s")
VOWEL = re.compile(r"[aeiouy]")


class Meaning(Protocol):
    """What an index may ask about words that are not the same; all in the form of `words()`."""

    def related(self, query: Sequence[str]) -> Mapping[str, float]:
        """Words of the catalogue that are near in meaning to some word of the query, and how near, 1 at most."""
        ...

    def nearness(self, texts: Sequence[Sequence[str]]) -> Sequence[float]:
        """How near each tool is in meaning to the nearest of the texts, 1 at most, in the order of the index."""
        ...


class Lexicon(Protocol):
    """Knows what words mean; see `pegboard.semantic`."""

    def meaning(self, tools: Sequence[Sequence[str]], vocabulary: Collection[str]) -> Meaning:
        """Make what one index asks, from the words of each tool and all words of the catalogue."""
        ...


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of one tool when somebody searches.

    `parameters` are names with descriptions; `aliases` are names that lead to it and say nothing about it.
    """

    name: str
    title: str | None = None
    plugin: str = ""
    group: str | None = None
    description: str | None = None
    parameters: Sequence[tuple[str, str]] = ()
    aliases: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Hit:
    """One tool of an answer. Scores compare within one answer only; `position` is the entry's in the index."""

    position: int
    entry: Entry
    score: float


class Index:
    """A catalogue of tools, made ready once and then searched often; it never changes.

    A tool scores by the words it shares with the query (BM25 over weighted fields) and is lifted a little with its
    plugin; with a `lexicon`, words and tools of a like meaning count too. Scores do not depend on the order of the
    entries; equal ones stand in that order.
    """

    def __init__(self, entries: Iterable[Entry], lexicon: Lexicon | None = None) -> None:
        self.entries = tuple(entries)
        self._names = _Names([(entry.name, *entry.aliases) for entry in self.entries])
        self._plugins = [entry.plugin for entry in self.entries]
        self._many_plugins = len(set(self._plugins)) > 1
        rows = [[words(text) for text in _texts(entry)] for entry in self.entries]
        self._postings = _postings(rows)
        about = [[word for field in row[:ABOUT] for word in field] for row in rows]
        self._meaning = lexicon.meaning(about, self._postings) if lexicon else None

    def search(self, query: str, k: int = 5, *, plugin: str | None = None, group: str | None = None) -> list[Hit]:
        """The `k` best tools for a query, best first; fewer, or none, when no more have anything to do with it.

        A tool whose name is the query comes first, in any case and with any separators, then those whose names are
        written out in it. `plugin` and `group` leave out all other tools. Takes any string; what stands behind the
        first `LONGEST` characters is not read.
        """
        query, k = query[:LONGEST], max(k, 0)
        named, scores = self._names.find(query), self._scores(query)
        if plugin is not None or group is not None:
            fitting = self._fitting(plugin, group)
            named = {position: named[position] for position in fitting & named.keys()}
            scores = {position: scores[position] for position in fitting & scores.keys()}
        worst = min(heapq.nlargest(k, scores.values()), default=0.0)
        chosen = named.keys() | {position for position, score in scores.items() if score >= worst}
        ranked = sorted((-named.get(position, 0), -scores.get(position, 0.0), position) for position in chosen)
        return [Hit(position, self.entries[position], -score) for _, score, position in ranked[:k]]

    def _fitting(self, plugin: str | None, group: str | None) -> set[int]:
        return {
            position
            for position, entry in enumerate(self.entries)
            if plugin in (None, entry.plugin) and group in (None, entry.group)
        }

    def _scores(self, query: str) -> dict[int, float]:
        """What each tool that has anything to do with the query scores; the best in words has 1."""
        scores: dict[int, float] = defaultdict(float)
        for word, counts in self._wanted(query).items():
            for position, weight in self._postings.get(word, ()):
                scores[position] += counts * weight
        if self._many_plugins:
            self._lift(scores)
        best = max(scores.values(), default=1.0)
        scores = {position: score / best for position, score in scores.items()}
        return self._fuse(scores, self._meaning, query) if self._meaning else scores

    def _wanted(self, query: str) -> dict[str, float]:
        """The words to look for and what each counts."""
        wanted = dict.fromkeys(words(query), 1.0)
        if self._meaning:
            for word, near in self._meaning.related(list(wanted)).items():
                wanted.setdefault(word, RELATED * near)
        return wanted

    def _lift(self, scores: dict[int, float]) -> None:
        """Raise the best tools by what the three best of their plugin score together."""
        worst = min(heapq.nlargest(LIFTED, scores.values()), default=0.0)
        by_plugin: dict[str, list[int]] = defaultdict(list)
        for position, score in scores.items():
            if score >= worst:
                by_plugin[self._plugins[position]].append(position)
        best = {plugin: heapq.nlargest(3, (scores[tool] for tool in tools)) for plugin, tools in by_plugin.items()}
        evidence = {plugin: sum(three) for plugin, three in best.items()}
        unit = PLUGIN * max(scores.values(), default=0.0) / max(evidence.values(), default=1.0)
        for plugin, tools in by_plugin.items():
            for position in tools:
                scores[position] += unit * evidence[plugin]

    def _fuse(self, scores: Mapping[int, float], meaning: Meaning, query: str) -> dict[int, float]:
        """Add to each tool how near it is in meaning to the query, or to the sentence of it that is nearest."""
        sentences = [words(query), *(words(sentence) for sentence in SENTENCE_END.split(query, SENTENCES))]
        nearness = enumerate(meaning.nearness(sentences))
        fused = {position: MEANING * near for position, near in nearness if near > 0}
        for position, score in scores.items():
            fused[position] = fused.get(position, 0.0) + score
        return fused


class _Names:
    """The names of tools in the forms in which a query may have them."""

    def __init__(self, names: Sequence[Sequence[str]]) -> None:
        self._whole: dict[tuple[int, str], list[int]] = defaultdict(list)
        self._parts: dict[str, list[int]] = defaultdict(list)
        for position, own in enumerate(names):
            for name in own:
                self._add(position, name[:LONGEST])

    def _add(self, position: int, name: str) -> None:
        for form in _forms(name):
            self._whole[form].append(position)
        # A name of one word, like `search`, is no name inside a sentence.
        if len(_split(name)) > 1:
            self._parts[_underscored(name)].append(position)

    def find(self, query: str) -> dict[int, int]:
        """The tools the query names and how surely: 1 for a name in it, more the closer it is to being the name."""
        found: dict[int, int] = {}
        for word in IDENTIFIER.findall(query):
            for position in self._parts.get(_underscored(word), ()):
                found[position] = 1
        for form in _forms(query):
            for position in self._whole.get(form, ()):
                found[position] = found.get(position, 1) + 1
        return found


def _forms(name: str) -> Iterator[tuple[int, str]]:
    """As written, in any case, with any separators. Who has the first has the others too, so the sums tell."""
    name = name.strip()
    forms = (name, name.casefold(), SEPARATORS.sub("", name.casefold()))
    return ((level, form) for level, form in enumerate(forms) if form)


def _underscored(name: str) -> str:
    return SEPARATORS.sub("_", name.casefold()).strip("_")


def words(text: str) -> list[str]:
    """The words of a text in the form in which they are compared, without stop words.

    Identifiers are split, and those with humps stay whole too: `GitHub` is `git`, `hub` and `github`.
    """
    lowered = (part.lower() for part in _split(text[:LONGEST]))
    return [stem(word) for word in lowered if word not in STOP_WORDS]


def _split(text: str) -> list[str]:
    if not text.isascii():
        text = "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))
    parts: list[str] = []
    for run in RUN.findall(text):
        humps = [run] if run.islower() or run.isupper() else HUMP.split(run)
        parts += [*humps, run] if len(humps) > 1 else humps
    return parts


@lru_cache(maxsize=20_000)
def stem(word: str) -> str:
    """The beginning that an English word shares with its other forms: `creat` of `creates`, `creating`, `creation`."""
    if len(word) <= 3 or word in UNCHANGED or not (word.isascii() and word.isalpha()):
        return word
    word = _singular(word)
    for suffix in SUFFIXES:
        rest = word.removesuffix(suffix)
        if rest != word and len(rest) >= 3 and VOWEL.search(rest):
            word = rest
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "ls":
        word = word[:-1]
    return f"{word[:-1]}i" if len(word) > 3 and word.endswith("y") else word


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return f"{word[:-3]}y"
    if word.endswith(("ches", "shes", "sses", "xes", "zes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) else word


def _postings(rows: Sequence[Sequence[Sequence[str]]]) -> dict[str, list[tuple[int, float]]]:
    """For each word the tools that have it, and what it counts there; `rows` are the words of each tool's fields."""
    counted: dict[str, dict[int, float]] = defaultdict(dict)
    averages = [_average(len(row[field]) for row in rows) for field in range(len(FIELDS))]
    for position, row in enumerate(rows):
        for found, weight, average in zip(row, FIELDS.values(), averages, strict=True):
            each = weight / (1 - LONG + LONG * len(found) / average)
            for word in found:
                counted[word][position] = counted[word].get(position, 0.0) + each
    return {word: _weighed(counts, len(rows)) for word, counts in counted.items()}


def _texts(entry: Entry) -> Iterator[str]:
    """The texts of a tool, in the order of `FIELDS`."""
    yield entry.name
    yield entry.title or ""
    yield entry.plugin
    yield entry.group or ""
    yield entry.description or ""
    yield " ".join(name for name, _ in entry.parameters)
    yield " ".join(description for _, description in entry.parameters)


def _average(lengths: Iterable[int]) -> float:
    """Over the tools that have the field at all."""
    present = [length for length in lengths if length]
    return sum(present) / len(present) if present else 1.0


def _weighed(counts: Mapping[int, float], tools: int) -> list[tuple[int, float]]:
    rarity = math.log(1 + (tools - len(counts) + 0.5) / (len(counts) + 0.5))
    return [(position, rarity * count / (REPEATED + count)) for position, count in counts.items()]
