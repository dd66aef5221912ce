"""Text on standard output: tables for people, JSON for programs."""

import json
import re
from collections.abc import Sequence
from typing import Any

import click


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Rows in columns as wide as they need, under a header."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [_line([title.upper() for title in header], widths), *(_line(row, widths) for row in rows)]
    return "\n".join([click.style(lines[0], bold=True), *lines[1:]])


def indented(text: str, by: int = 2) -> str:
    """Every line of the text, moved to the right."""
    return "\n".join(" " * by + line for line in text.splitlines())


def first_sentence(text: str | None) -> str:
    """The first sentence of a description, in one line."""
    paragraph = (text or "").strip().split("\n\n")[0]
    return re.split(r"(?<=[.!?])\s", " ".join(paragraph.split()), maxsplit=1)[0]


def print_json(value: Any) -> None:
    """One line of JSON on standard output."""
    click.echo(json.dumps(value, ensure_ascii=False))


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
