"""What the tools of the groups talk to: AWX, AWX below a path of a proxy, and the controller of a platform."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest
from tests.plugins.awx.conftest import company

from pegboard_awx.double import Double

SERVERS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {"awx": {}, "below": {"root": "/tools/awx"}, "platform": {"platform": True}}
)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "awx_only(reason): what a platform does not have")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run each test that takes `double` or `url` over AWX and a platform, and one of each kind below a path, too."""
    items[:] = [item for item in items if not isinstance(item, pytest.Function) or _is_wanted(item)]


def _is_wanted(item: pytest.Function) -> bool:
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    if parameters.get("server") == "below":
        return len(parameters) == 1  # other arguments make no other paths
    return parameters.get("server") != "platform" or item.get_closest_marker("awx_only") is None


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> str:
    """What the tools talk to."""
    return request.param


@pytest.fixture
def double(server: str) -> Double:
    """The company's AWX, with a clock that only the test moves."""
    return company(**SERVERS[server])
