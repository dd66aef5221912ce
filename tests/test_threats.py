"""Every attack and fault we promise to survive has a test that says so, and docs/threats.md tells where it is."""

import re
from importlib.util import find_spec

from tests.threats import ATTACKS, FAULTS, PAGE, Named, named, names_of, page_with_tests, rows_of

EXAMPLE = '''
"""S-01 in a module's docstring is no test."""
# S-02: nor is a comment

def helper() -> None:
    """S-03: nor a helper."""

async def test_something() -> None:
    """S-04 and F-05: this is."""

class Group:
    def test_more(self) -> None:
        """S-06."""
'''


def test_only_the_docstrings_of_tests_count() -> None:
    assert names_of(EXAMPLE) == {"S-04", "F-05", "S-06"}


def test_a_row_gets_the_files_that_name_it() -> None:
    found: Named = {"S-04": ["hub/test_a.py", "system/test_b.py"]}
    page = "| S-04 | an attack | a defence |  |\n| S-05 | another | another | `stale` |\nS-04 in a sentence"

    assert page_with_tests(page, found).split("\n") == [
        "| S-04 | an attack | a defence | `hub/test_a`, `system/test_b` |",
        "| S-05 | another | another |  |",
        "S-04 in a sentence",
    ]


def test_every_attack_and_every_fault_has_a_test_that_names_it() -> None:
    assert [name for name in (*ATTACKS, *FAULTS) if name not in named()] == []


def test_every_attack_and_every_fault_that_a_test_names_stands_on_the_page() -> None:
    rows = rows_of(PAGE.read_text(encoding="utf-8"))

    assert len(rows) == len(set(rows))
    assert sorted({*ATTACKS, *FAULTS, *named()} - {*rows}) == [], "give it a row"


def test_every_module_that_the_page_names_is_there() -> None:
    where = " ".join(re.findall(r"\(([^()]*`[^()]*)\)", PAGE.read_text(encoding="utf-8")))
    named_on_page = re.findall(r"`([a-z_0-9.]+)`", where)
    modules = [name if name.startswith("pegboard_") else f"pegboard.{name}" for name in named_on_page]

    assert len(set(modules)) > 25
    assert [name for name in dict.fromkeys(modules) if find_spec(name) is None] == []


def test_the_page_tells_where_the_tests_are() -> None:
    page = PAGE.read_text(encoding="utf-8")
    fresh = page_with_tests(page, named())

    stale = [line[:60] for line, wanted in zip(page.split("\n"), fresh.split("\n"), strict=True) if line != wanted]
    assert stale == [], "run `python -m tests.threats`"
