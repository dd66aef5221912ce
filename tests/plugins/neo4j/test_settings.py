"""The settings, and how a target is called."""

import pytest
from pydantic import SecretStr, ValidationError

from pegboard_neo4j import Settings, Target
from pegboard_neo4j.pool import NEO4J


def test_the_url_is_all_that_has_to_be_said() -> None:
    target = Settings(url="bolt://localhost").target

    assert target == Target("bolt://localhost")
    assert (target.host, target.port, target.user, target.password) == ("localhost", 7687, "neo4j", None)


@pytest.mark.parametrize("url", ["localhost:7687", "http://localhost:7474", "bolt://neo4j:secret@localhost"])
def test_a_url_that_cannot_be_used_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(ValidationError, match="must") as raised:
        Settings(url=url)

    assert "neo4j+s://graph.example.com" in str(raised.value) or "user and password" in str(raised.value)


@pytest.mark.parametrize("pattern", ["*", "db.*", "dbms.*", "apoc text", "x;y", ""])
def test_a_pattern_for_everything_is_refused(pattern: str) -> None:
    with pytest.raises(ValidationError, match="gds"):
        Settings(url="bolt://localhost", allow_procedures=(pattern,))


def test_a_target_is_named_without_secrets() -> None:
    settings = Settings(url="neo4j+s://graph.example.com:7687", password=SecretStr("hunter2"), database="shop")

    assert NEO4J.describe(settings.target) == "neo4j+s://graph.example.com:7687/shop"
    assert "hunter2" not in repr(settings.target)
    assert "hunter2" not in repr(settings)


def test_other_credentials_are_another_pool() -> None:
    assert Target("bolt://localhost", password="a") != Target("bolt://localhost", password="b")
