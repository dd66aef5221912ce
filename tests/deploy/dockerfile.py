"""A Dockerfile as a test reads it: its stages, and what each of their lines says."""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Line:
    """One instruction with all that continues it."""

    word: str
    rest: str

    @property
    def words(self) -> list[str]:
        """The exec form, or what a shell would make of it."""
        return json.loads(self.rest) if self.rest.startswith("[") else shlex.split(self.rest)


def stages_of(file: Path) -> list[list[Line]]:
    """The lines of each stage, from its FROM on. What stands before the first is left out."""
    stages: list[list[Line]] = []
    for line in _lines(file.read_text()):
        if line.word == "FROM":
            stages.append([])
        if stages:
            stages[-1].append(line)
    return stages


def _lines(text: str) -> Iterator[Line]:
    without_comments = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE)
    for line in without_comments.replace("\\\n", " ").splitlines():
        if line.strip():
            word, _, rest = line.strip().partition(" ")
            yield Line(word, " ".join(rest.split()))
