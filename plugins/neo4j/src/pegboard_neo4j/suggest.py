"""Did you mean: the names that look like one that is not there."""

from collections.abc import Iterable
from difflib import get_close_matches

MOST = 3
CLOSE = 0.7
SHOWN = 8
SHORT = 2


def like(name: str, known: Iterable[str]) -> list[str]:
    """The likeliest names, whatever their case; the best first."""
    by_folded = {other.casefold(): other for other in known}
    folded = name.casefold()
    close = get_close_matches(folded, by_folded, MOST, CLOSE)
    within = [other for other in by_folded if folded in other or other in folded] if len(folded) > SHORT else []
    return [by_folded[other] for other in dict.fromkeys([*close, *sorted(within, key=len)])][:MOST]


def missing(kind: str, name: str, known: Iterable[str]) -> str:
    """That there is no such thing, and what there is instead."""
    names = sorted(set(known))
    if found := like(name, names):
        return f"no {kind} {name!r} in this graph; did you mean {' or '.join(map(repr, found))}?"
    if not names:
        return f"no {kind} {name!r} in this graph, nor any other"
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"no {kind} {name!r} in this graph; there are {', '.join(names[:SHOWN])}{more}"
