"""Every test of a group that takes `double` or `url` runs over AWX, below a path of a proxy, and over a platform."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest
from tests.plugins.awx.conftest import company

from pegboard_awx.double import Double

AWX = "awx"
SERVERS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {AWX: {}, "below": {"root": "/tools/awx"}, "platform": {"platform": True}}
)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "awx_only(reason): what a platform does not have, or keeps to itself")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what is `awx_only` where it would run over a platform."""
    items[:] = [item for item in items if not (_server(item) == "platform" and item.get_closest_marker("awx_only"))]


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> str:
    """What the tools talk to."""
    return request.param


@pytest.fixture
def double(server: str) -> Double:
    """The company's AWX, with a clock that only the test moves."""
    return company(**SERVERS[server])


def _server(item: pytest.Item) -> str | None:
    return item.callspec.params.get("server") if isinstance(item, pytest.Function) and hasattr(item, "callspec") else None
