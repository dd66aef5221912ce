"""Fixtures of the system tests: one hub for all tests that leave it as it was, and the clients from npm."""

from collections.abc import Generator
from pathlib import Path

import pytest
from tests.system.canaries import found_in
from tests.system.installed import Installed, install_conformance, install_probe
from tests.system.npm import Clients, installed_clients
from tests.system.processes import WRITTEN, HubProcess, serving


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.system)


@pytest.fixture(scope="session", autouse=True)
def no_canary_in_any_log() -> Generator[None]:
    """S-23: the secrets in the environment of every hub, and of the canary test, are in no log of the whole run."""
    yield
    hits = [hit for log in WRITTEN for hit in found_in(log.text)]
    assert hits == [], "a hub has written a secret to its log"


@pytest.fixture(scope="session")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The plugin `probe`, installed."""
    return install_probe(tmp_path_factory.mktemp("installed"))


@pytest.fixture(scope="session")
def shared_hub(probe: Installed, tmp_path_factory: pytest.TempPathFactory) -> Generator[HubProcess]:
    """A hub for every test that neither stops nor fills it."""
    with serving(tmp_path_factory.mktemp("shared"), probe) as hub:
        yield hub


@pytest.fixture(scope="session")
def clients() -> Clients:
    """The clients from npm."""
    return installed_clients()


@pytest.fixture
def conformance(tmp_path: Path) -> Generator[HubProcess]:
    """A hub with the plugin `conformance`, whose tools ask back."""
    with serving(tmp_path, install_conformance(tmp_path / "installed")) as hub:
        yield hub
