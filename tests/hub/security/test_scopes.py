"""Scopes: which tools somebody may call, and where."""

from collections.abc import Collection
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pegboard.errors import ConfigError
from pegboard.security.scopes import Scope, Scopes


@dataclass(frozen=True)
class Tool:
    """What a scope is asked about."""

    name: str
    plugin: str
    groups: Collection[str] = field(default_factory=frozenset[str])
    writes: bool = False


QUERY = Tool("postgres_query", "postgres")
LAUNCH = Tool("awx_launch_job", "awx", frozenset({"jobs", "daily"}), writes=True)
LIST = Tool("awx_list_jobs", "awx", frozenset({"jobs"}))
HOSTS = Tool("awx_list_hosts", "awx", frozenset({"inventory"}))
TOOLS = (QUERY, LAUNCH, LIST, HOSTS)


@pytest.mark.parametrize(
    ("scopes", "allowed"),
    [
        ("", []),
        ("*", [QUERY, LAUNCH, LIST, HOSTS]),
        ("read", [QUERY, LIST, HOSTS]),
        ("write", [LAUNCH]),
        ("awx:*", [LAUNCH, LIST, HOSTS]),
        ("awx:read", [LIST, HOSTS]),
        ("awx:write", [LAUNCH]),
        ("awx/jobs:*", [LAUNCH, LIST]),
        ("awx/daily:*", [LAUNCH]),
        ("awx/jobs:read", [LIST]),
        ("awx/inventory:write", []),
        ("postgres/jobs:*", []),
        ("awx_list_jobs", [LIST]),
        ("awx_list_jobs postgres:*", [QUERY, LIST]),
        ("metrics", []),
        ("aw:* awx_ jobs:*", []),
    ],
)
def test_a_scope_allows_the_tools_it_names(scopes: str, allowed: list[Tool]) -> None:
    held = Scopes.of(scopes.split())

    assert [tool for tool in TOOLS if held.places(tool, ["default"])] == allowed


@pytest.mark.parametrize(
    "other", ["Postgres_query", "postgres_query ", "postgres\uff3fquery", "p\u043estgres_query", "POSTGRES_QUERY"]
)
def test_a_name_that_only_looks_like_it_is_another_name(other: str) -> None:
    """S-18: upper case, full width, a Cyrillic letter."""
    held = Scopes.of(["postgres_query"])

    assert not held.places(Tool(other, "postgres"), ["default"])


@pytest.mark.parametrize(
    ("scopes", "places"),
    [
        ("awx:*@prod", ["prod"]),
        ("awx:*@prod awx:read@staging", ["prod", "staging"]),
        ("awx:write@prod awx:read@staging", ["staging"]),
        ("awx:*@prod awx_list_jobs", ["prod", "staging", "test"]),
        ("*@test", ["test"]),
        ("read@nowhere", []),
        ("postgres:*@prod", []),
    ],
)
def test_an_environment_narrows_the_scope_it_stands_behind(scopes: str, places: list[str]) -> None:
    assert Scopes.of(scopes.split()).places(LIST, ["prod", "staging", "test"]) == places


@pytest.mark.parametrize(
    ("scopes", "allowed"),
    [
        *(("*", True), ("read", True), ("awx:*", True), ("awx:read", True), ("write", False), ("awx:write", False)),
        *(
            ("awx/jobs:*", False),
            ("awx:*@prod", False),
            ("*@prod", False),
            ("awx_list_jobs", False),
            ("neo4j:*", False),
        ),
    ],
)
def test_what_belongs_to_a_plugin_as_a_whole_needs_a_scope_for_the_whole(scopes: str, allowed: bool) -> None:
    assert Scopes.of([scopes]).allows_plugin("awx") == allowed


@pytest.mark.parametrize(
    ("scopes", "everything", "operate"),
    [
        ("*", True, True),
        ("metrics", False, True),
        ("* read", True, True),
        ("read", False, False),
        ("*@prod", False, False),
    ],
)
def test_only_a_star_alone_is_everything(scopes: str, everything: bool, operate: bool) -> None:
    held = Scopes.of(scopes.split())

    assert (held.is_everything, held.may_operate) == (everything, operate)


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "awx:", ":*", "awx:launch", "awx/:*", "/jobs:*", "awx/jobs", "AWX:*", "*@", "*@Prod", "*@a@b"),
        *("read write", "awx:*\n", "a" * 65, "*:*", "awx:metrics", "x\x00", "\u201eread"),
    ],
)
def test_what_is_no_scope_is_refused_with_what_there_is(text: str) -> None:
    with pytest.raises(ConfigError, match=r"is no scope; write \*, read, write, PLUGIN:\*"):
        Scopes.of(["read", text])


@given(st.sampled_from(["*", "read", "write", "awx:*", "awx/jobs:read", "awx_list_jobs", "metrics"]), st.booleans())
def test_a_scope_reads_as_it_is_written(text: str, with_environment: bool) -> None:
    text = f"{text}@prod" if with_environment else text

    assert str(Scope.of(text)) == text
    assert str(Scopes.of([text, text])) == text


def test_scopes_are_equal_whatever_their_order() -> None:
    one, other = Scopes.of(["read", "awx:*"]), Scopes.of(["awx:*", "read", "read"])

    assert (one, hash(one), str(one)) == (other, hash(other), "awx:* read")
