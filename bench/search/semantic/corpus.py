"""The corpus: what words mean (WordNet) and what operations of web APIs do (Google's and AWS's client libraries)."""

import gzip
import html
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

LONGEST = 200
"""Characters of a description that count."""
OF_ONE_SERVICE = 40
"""Operations of one service that count, evenly picked: else a few large ones would be most of them."""
LIVING = {"05", "20"}
"""WordNet's files of animals and plants: thousands of Latin names that no tool is about."""

TAG = re.compile(r"<[^>]+>|https?://\S+")
CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def texts(wordnet: Path, google: Path, aws: Path) -> list[str]:
    """All texts, each once, in an order that depends on the packages alone."""
    return list(dict.fromkeys([*senses(wordnet), *google_operations(google), *aws_operations(aws)]))


def senses(folder: Path) -> Iterator[str]:
    """Every sense as `words: definition`, and every example sentence; no names of people and places."""
    for part in ("noun", "verb", "adj", "adv"):
        for line in (folder / f"data.{part}").read_text("latin-1").splitlines():
            data, _, gloss = line.partition(" | ")
            fields = data.split()
            if line.startswith(" ") or fields[1] in LIVING or "@i" in fields:
                continue
            definition, *examples = gloss.split('; "')
            words = [fields[4 + 2 * i].partition("(")[0].replace("_", " ") for i in range(int(fields[3], 16))]
            yield f"{', '.join(words)}: {definition.strip()}"
            yield from (example.strip(' ";') for example in examples)


def google_operations(folder: Path) -> Iterator[str]:
    for path in sorted(folder.glob("*.json")):
        document: Mapping[str, Any] = json.loads(path.read_text("utf-8"))
        if "methods" in document or "resources" in document:
            yield _text(document["title"], document.get("description", ""))
            yield from _some(list(_methods(document)))


def _methods(resource: Mapping[str, Any]) -> Iterator[str]:
    for method in resource.get("methods", {}).values():
        yield _text(" ".join(method["id"].split(".")[-2:]), method.get("description", ""))
    for inner in resource.get("resources", {}).values():
        yield from _methods(inner)


def aws_operations(folder: Path) -> Iterator[str]:
    for service in sorted(path for path in folder.iterdir() if path.is_dir()):
        newest = max(version for version in service.iterdir() if version.is_dir())
        for path in sorted(newest.glob("service-2.json*")):
            content = path.read_bytes()
            model: Mapping[str, Any] = json.loads(gzip.decompress(content) if path.suffix == ".gz" else content)
            yield _text(model["metadata"].get("serviceFullName", ""), model.get("documentation", ""))
            named = sorted(model["operations"].items())
            yield from _some([_text(name, operation.get("documentation", "")) for name, operation in named])


def _some(operations: Sequence[str]) -> Sequence[str]:
    return operations[:: max(1, len(operations) // OF_ONE_SERVICE)]


def _text(name: str, description: str) -> str:
    return f"{CAMEL.sub(' ', name)}: {' '.join(html.unescape(TAG.sub(' ', description)).split())[:LONGEST]}"
