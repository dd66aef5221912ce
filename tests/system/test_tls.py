"""TLS: a real hub behind no proxy."""

import shutil
import signal
import ssl
from collections.abc import Generator
from pathlib import Path

import anyio
import httpx
import pytest
from tests.certificates import Pair, make_pair
from tests.system.installed import Installed
from tests.system.processes import PEGBOARD, HubProcess, configure, environment, serving
from tests.system.wire import OPENERS, Era, call


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return make_pair(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module")
def secure(probe: Installed, pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> Generator[HubProcess]:
    """A hub that serves TLS."""
    server = {"tls_certificate": str(pair.certificate), "tls_key": str(pair.key)}
    with serving(tmp_path_factory.mktemp("secure"), probe, settings={"server": server}) as hub:
        yield hub


def trusting(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificate)


@pytest.mark.parametrize("era", ["sse", "legacy", "modern"])
async def test_every_transport_goes_over_tls(secure: HubProcess, pair: Pair, era: Era) -> None:
    assert secure.url.startswith("https://127.0.0.1:")
    http = httpx.AsyncClient(base_url=secure.url, verify=trusting(pair.certificate), trust_env=False, timeout=15)
    async with http, OPENERS[era](http, "/probe") as peer:
        assert await call(peer, "probe_echo", {"payload": "x"}) == "x"


async def test_the_front_page_names_urls_of_https(secure: HubProcess, pair: Pair) -> None:
    async with httpx.AsyncClient(verify=trusting(pair.certificate), trust_env=False) as http:
        overview = (await http.get(secure.url)).json()

    assert all(endpoint["sse"].startswith(secure.url) for endpoint in overview["endpoints"])


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
async def test_what_is_older_than_tls_1_2_is_refused(secure: HubProcess, pair: Pair) -> None:
    old = trusting(pair.certificate)
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with anyio.fail_after(5), pytest.raises((ssl.SSLError, anyio.BrokenResourceError, anyio.EndOfStream)):
        await anyio.connect_tcp("127.0.0.1", secure.port, ssl_context=old, tls_standard_compatible=False)


async def test_plain_http_is_no_way_in(secure: HubProcess) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        with pytest.raises(httpx.TransportError):
            await http.get(secure.url.replace("https", "http"))


async def test_a_reload_serves_a_new_certificate_and_a_wrong_one_changes_nothing(
    probe: Installed, tmp_path: Path
) -> None:
    pair, other = make_pair(tmp_path), make_pair(tmp_path, "other")
    old = make_pair(tmp_path, "old")
    shutil.copy(pair.certificate, old.certificate)
    server = {"tls_certificate": str(pair.certificate), "tls_key": str(pair.key)}
    with serving(tmp_path, probe, settings={"server": server}) as hub:
        shutil.copy(other.certificate, pair.certificate)
        hub.signal(signal.SIGHUP)
        await hub.said("is not the private key of")
        assert await answers(hub, old.certificate)

        shutil.copy(other.key, pair.key)
        hub.signal(signal.SIGHUP)
        await hub.said("the configuration was reloaded")
        assert await answers(hub, other.certificate)
        assert not await answers(hub, old.certificate)


async def answers(hub: HubProcess, certificate: Path) -> bool:
    """Whether who trusts this certificate is answered."""
    async with httpx.AsyncClient(verify=trusting(certificate), trust_env=False) as http:
        try:
            return (await http.get(f"{hub.url}/health")).status_code == 200
        except httpx.ConnectError:
            return False


async def test_a_wrong_certificate_stops_the_start_with_a_sentence(tmp_path: Path) -> None:
    pair, other = make_pair(tmp_path), make_pair(tmp_path, "other")
    server = {"tls_certificate": str(pair.certificate), "tls_key": str(other.key)}
    file = configure(tmp_path, [], {"server": server})

    with anyio.fail_after(30):
        ended = await anyio.run_process(
            [PEGBOARD, "serve", "--config", str(file)], check=False, env=environment([]), cwd=tmp_path
        )

    said = ended.stderr.decode()
    assert ended.returncode == 2
    assert f"[server] tls_key: {other.key} is not the private key of {pair.certificate}" in said
    assert "Traceback" not in said
