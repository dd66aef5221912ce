"""Which test stands against which attack: read from the docstrings of all tests, written into docs/threats.md.

`python -m tests.threats` writes the page's last column anew; `tests/test_threats.py` fails when it is stale.
"""

import ast
import re
from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "threats.md"
TESTS = ROOT / "tests"

ATTACKS = tuple(f"S-{number:02}" for number in range(1, 41))
FAULTS = tuple(f"F-{number:02}" for number in range(1, 42))
NAMED = re.compile(r"\b[SF]-\d\d\b")
ROW = re.compile(r"^\| (?P<id>[SF]-\d\d) \|(?P<middle>.*)\|[^|]*\|$")

Named = Mapping[str, list[str]]


@cache
def named() -> Named:
    """By id, the files whose tests name it in their docstrings, in order."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in sorted(TESTS.rglob("test_*.py")):
        for name in names_of(path.read_text(encoding="utf-8")):
            found[name].add(path.relative_to(TESTS).as_posix())
    return {name: sorted(files) for name, files in sorted(found.items())}


def names_of(source: str) -> set[str]:
    """The ids in the docstrings of the tests of a module; a comment or a docstring of anything else is no promise."""
    functions = (
        node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    tests = (node for node in functions if node.name.startswith("test_"))
    return {name for node in tests for name in NAMED.findall(ast.get_docstring(node) or "")}


def page_with_tests(page: str, found: Named) -> str:
    """The page with the tests of each row in its last column."""
    return "\n".join(_row(line, found) for line in page.split("\n"))


def _row(line: str, found: Named) -> str:
    match = ROW.match(line)
    if match is None:
        return line
    files = ", ".join(f"`{file.removesuffix('.py')}`" for file in found.get(match["id"], []))
    return f"| {match['id']} |{match['middle']}| {files} |"


def rows_of(page: str) -> list[str]:
    """The ids of the page's rows, in its order."""
    return [match["id"] for match in map(ROW.match, page.split("\n")) if match is not None]


if __name__ == "__main__":
    PAGE.write_text(page_with_tests(PAGE.read_text(encoding="utf-8"), named()), encoding="utf-8")
