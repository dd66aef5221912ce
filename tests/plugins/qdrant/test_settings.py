"""The settings: exactly one Qdrant, and errors that say which line to write."""

from typing import Any

import pytest
from pydantic import ValidationError

from pegboard.errors import PluginError
from pegboard.testing import hub_of
from pegboard_qdrant import QDRANT, Settings, Target
from pegboard_qdrant.target import describe

SECRET = "hunter2-s3cret"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, 'no Qdrant is named; give exactly one of url = "http://localhost:6333", path = "/a/folder"'),
        ({"url": "http://q", "path": "/x"}, "url and path cannot stand together"),
        ({"path": "/x", "memory": True}, "path and memory cannot stand together"),
        ({"url": "localhost:6333"}, "must be a URL like http://localhost:6333"),
        ({"url": "grpc://localhost"}, "must be a URL like"),
        ({"url": "http://[::1"}, "must be a URL like"),
        ({"url": "http://q:99999"}, "must be a URL like"),
        ({"url": f"http://bob:{SECRET}@q"}, "must have no user, query or fragment; the key belongs into api_key"),
        ({"url": "http://q?x=1"}, "must have no user, query or fragment"),
        ({"url": "http://q", "api_key": f"{SECRET}\r\nx: y"}, "must be printable ASCII"),
        ({"url": "http://q", "api_key": ""}, "must be printable ASCII"),
        ({"path": "/x", "api_key": SECRET}, "need a server; give its url"),
        ({"memory": True, "embedder": "fastembed"}, "embedder and embedding_model belong together"),
        ({"memory": True, "embedder": "server", "embedding_model": "m"}, "need a server; give its url"),
        ({"memory": True, "timeout": 0}, "greater than 0"),
        ({"memory": True, "pathh": "x"}, "pathh"),
    ],
)
async def test_a_wrong_setting_says_what_to_write(given: dict[str, Any], says: str) -> None:
    import pegboard_qdrant

    with pytest.raises(PluginError) as error:
        async with hub_of(pegboard_qdrant, settings={"plugins": {"qdrant": given}}):
            pass

    assert says in str(error.value)
    assert SECRET not in str(error.value)


def test_a_key_is_in_no_text() -> None:
    settings = Settings.model_validate({"url": "https://q.example:6333/prefix", "api_key": SECRET})

    assert SECRET not in repr(settings)
    assert SECRET not in repr(settings.target)
    assert describe(settings.target) == "https://q.example:6333/prefix"
    assert settings.target.api_key == SECRET


@pytest.mark.parametrize(
    ("location", "name"),
    [
        ("http://localhost", "http://localhost:6333"),
        ("http://[::1]:6333/", "http://[::1]:6333"),
        ("/data/qdrant", "/data/qdrant"),
        (":memory:", "memory"),
    ],
)
def test_a_plain_location_is_a_target(location: str, name: str) -> None:
    assert Target(location) == location
    assert hash(Target(location)) == hash(location)
    assert QDRANT.describe(location) == QDRANT.describe(Target(location)) == name


def test_other_credentials_are_another_target() -> None:
    assert Target("http://q", "a") != Target("http://q", "b") != "http://q"


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Settings(memory=True).memory = False  # type: ignore[misc]
