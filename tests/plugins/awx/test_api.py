"""The way to AWX: found, retried, bounded, and never sending a write twice."""

import anyio
import pytest
from tests.plugins.awx.conftest import NOW, reaching

from pegboard_awx import AwxError
from pegboard_awx.api import Api
from pegboard_awx.double import Double, Fault, serving
from pegboard_awx.double.seed import READ_TOKEN, VIEWER_TOKEN


async def refused(work: object) -> AwxError:
    with pytest.raises(AwxError) as raised:
        await work  # type: ignore[misc]
    return raised.value


async def test_the_prefix_of_awx_is_found_once(api: Api, double: Double) -> None:
    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(api.get, "me")

    place = await api.place()

    assert (place.prefix, place.platform, place.version) == ("/api/v2/", "awx", "24.6.1")
    assert len(double.seen("GET", "/ping/")) == 1


async def test_the_prefix_of_a_platform_is_found() -> None:
    double = Double(speed=0, start=NOW, platform=True)
    async with serving(double) as url, reaching(url) as api:
        assert (await api.page("hosts")).total == 23
        assert (await api.place()).prefix == "/api/controller/v2/"
        assert (await api.place()).platform == "aap"


async def test_an_awx_below_a_path_is_found() -> None:
    double = Double(speed=0, start=NOW, root="/tools/awx")
    async with serving(double) as url, reaching(url) as api:
        assert (await api.page("hosts")).total == 23


async def test_a_url_that_ends_with_the_prefix_is_believed(url: str, double: Double) -> None:
    async with reaching(f"{url}/api/v2/") as api:
        await api.get("me")

    assert not [one for one in double.requests if one.path == "/api/"]


async def test_where_there_is_no_awx_the_error_says_so(url: str) -> None:
    async with reaching(f"{url}/elsewhere") as api:
        error = await refused(api.get("me"))

    assert error.kind == "not_found"
    assert "there is no AWX at" in str(error)


async def test_a_password_is_as_good_as_a_token(url: str) -> None:
    async with reaching(url, token="", username="nora", password="alpenkraft") as api:
        assert (await api.get("me"))["results"][0]["username"] == "nora"


async def test_a_wrong_token_is_an_error_of_auth(url: str) -> None:
    async with reaching(url, token="wrong") as api:
        error = await refused(api.get("me"))

    assert (error.kind, error.status) == ("auth", 401)


async def test_what_may_not_be_done_is_an_error_of_permission(url: str) -> None:
    async with reaching(url, token=READ_TOKEN) as api:
        error = await refused(api.post("organizations", json={"name": "New"}))
    assert error.kind == "permission"

    async with reaching(url, token=VIEWER_TOKEN) as api:
        assert (await api.page("job_templates")).total == 1
        error = await refused(api.get("settings", "all"))
    assert error.kind == "permission"


async def test_pages_are_read_until_the_last(api: Api) -> None:
    page = await api.page("hosts", size=10)
    last = await api.page("hosts", number=3, size=10)

    assert (len(page.items), page.total, page.has_more) == (10, 23, True)
    assert (len(last.items), last.has_more) == (3, False)
    assert (await api.page("hosts", number=99, size=10)).items == []
    assert len([host async for host in api.all("hosts")]) == 23
    assert len([host async for host in api.all("hosts", most=5)]) == 5


async def test_a_link_is_followed_within_the_api(api: Api) -> None:
    told = await api.get("hosts", params={"page_size": 20})

    assert len((await api.follow(told["next"]))["results"]) == 3
    assert (await refused(api.follow("http://elsewhere.example.com/api/v2/hosts/"))).kind == "unreachable"


async def test_deleting_tells_whether_it_is_done_later(api: Api) -> None:
    inventory = await api.first("inventories", params={"name": "Lab servers"})
    host = await api.first("hosts", params={"name": "mail-01"})
    assert inventory is not None
    assert host is not None

    assert await api.delete("hosts", host["id"]) == 204
    assert await api.delete("inventories", inventory["id"]) == 202
    assert (await refused(api.get("inventories", inventory["id"]))).kind == "not_found"


async def test_a_read_is_repeated_while_awx_is_busy(api: Api, double: Double) -> None:
    double.faults.add(Fault("status", "GET", "hosts/", times=2, status=503, retry_after=0))
    double.faults.add(Fault("status", "GET", "hosts/", times=1, status=429))

    assert (await api.page("hosts")).total == 23
    assert len(double.seen("GET", "/hosts/")) == 4


async def test_a_read_is_repeated_when_the_connection_breaks(api: Api, double: Double) -> None:
    await api.get("me")
    for kind in ("drop", "drop_after", "truncate"):
        double.faults.add(Fault(kind, "GET", "hosts/"))

    assert (await api.page("hosts")).total == 23
    assert len(double.seen("GET", "/hosts/")) == 4


async def test_a_server_that_asks_for_more_time_than_there_is_ends_the_call(api: Api, double: Double) -> None:
    double.faults.add(Fault("status", "GET", "hosts/", times=9, status=503, retry_after=3600))

    error = await refused(api.page("hosts"))

    assert (error.kind, error.status) == ("unreachable", 503)
    assert "try again in 3600 s" in str(error)
    assert len(double.seen("GET", "/hosts/")) == 1


async def test_a_server_that_stays_busy_is_asked_four_times(api: Api, double: Double) -> None:
    double.faults.add(Fault("status", "GET", "hosts/", times=9, status=502, retry_after=0))

    assert (await refused(api.page("hosts"))).status == 502
    assert len(double.seen("GET", "/hosts/")) == 4


@pytest.mark.parametrize(
    ("fault", "unsure"),
    [
        (Fault("status", "POST", status=503, retry_after=0), False),
        (Fault("status", "POST", status=429, retry_after=0), False),
        (Fault("status", "POST", status=504), True),
        (Fault("status", "POST", status=500), False),
        (Fault("html", "POST", status=502), True),
        (Fault("truncate", "POST"), True),
        (Fault("drop", "POST"), True),
        (Fault("drop_after", "POST"), True),
    ],
    ids=lambda value: f"{value.kind}-{value.status}" if isinstance(value, Fault) else "",
)
async def test_a_write_is_sent_once(api: Api, double: Double, fault: Fault, unsure: bool) -> None:
    await api.get("me")
    double.faults.add(fault)

    with anyio.fail_after(10):
        error = await refused(api.post("organizations", json={"name": "New"}))

    assert error.kind == "unreachable"
    assert error.unsure is unsure
    assert len(double.seen("POST")) == 1


async def test_a_slow_answer_ends_with_the_call(url: str, double: Double) -> None:
    async with reaching(url) as api:
        await api.get("me")
        double.faults.add(Fault("slow", seconds=30, times=2))
        with anyio.fail_after(5):
            hurried = Api(api.server, anyio.current_time() + 0.2)
            error = await refused(hurried.get("hosts"))
            late = await refused(
                Api(api.server, anyio.current_time() + 0.2).post("organizations", json={"name": "New"})
            )

    assert error.kind == "timeout"
    assert not error.unsure
    assert late.kind == "timeout"
    assert late.unsure
    assert "look before you repeat it" in str(late)


async def test_a_web_page_is_not_taken_for_an_answer(api: Api, double: Double) -> None:
    await api.get("me")
    double.faults.add(Fault("html", "GET", "hosts/", status=200))

    error = await refused(api.page("hosts"))

    assert error.kind == "unreachable"
    assert "a web page instead of JSON" in str(error)


async def test_a_redirect_is_not_followed(api: Api, double: Double) -> None:
    """S-13: nor is a write sent again."""
    await api.get("me")
    double.faults.add(Fault("status", "POST", status=301))

    error = await refused(api.post("organizations", json={"name": "New"}))

    assert "redirect" in str(error)
    assert len(double.requests) == len([one for one in double.requests if one.path != "/login/"])


async def test_an_answer_that_is_too_large_is_not_read(url: str) -> None:
    async with reaching(url, max_bytes=10_000) as api:
        error = await refused(api.page("hosts", size=200))

    assert error.kind == "too_large"


async def test_a_long_text_is_read_piece_by_piece(api: Api) -> None:
    jobs = await api.page("jobs", params={"name": "Fleet report"})
    text = await api.text("jobs", jobs.items[0]["id"], "stdout", params={"format": "txt"})
    sizes: list[int] = []
    async with api.chunks("jobs", jobs.items[0]["id"], "stdout", params={"format": "txt_download"}) as chunks:
        sizes += [len(chunk) async for chunk in chunks]

    assert text.startswith("Standard Output too large to display")
    assert sum(sizes) > 3_000_000
    assert max(sizes) < 1_000_000


async def test_a_text_that_is_refused_is_an_error(api: Api) -> None:
    with pytest.raises(AwxError) as raised:
        async with api.chunks("jobs", 99999, "stdout"):
            pass

    assert raised.value.kind == "not_found"


@pytest.mark.parametrize(
    ("url", "reason"),
    [("http://127.0.0.1:1", "nothing listens there"), ("http://nosuch.invalid", "its name is unknown")],
)
async def test_what_stands_in_the_way_is_named(url: str, reason: str) -> None:
    async with reaching(url, seconds=15) as api:
        with anyio.fail_after(20):
            error = await refused(api.get("me"))

    assert error.kind == "unreachable"
    assert reason in str(error)


async def test_a_server_without_tls_is_named(url: str) -> None:
    async with reaching(url.replace("http:", "https:")) as api:
        error = await refused(api.get("me"))

    assert error.kind == "unreachable"
    assert "TLS" in str(error)


async def test_a_ca_file_that_is_not_there_is_named() -> None:
    from pegboard import PoolError

    with pytest.raises(PoolError, match="ca_file /nowhere"):
        async with reaching("https://awx.example.com", ca_file="/nowhere"):
            pass


async def test_associating_twice_is_associating_once(api: Api) -> None:
    group = await api.first("groups", params={"name": "other", "inventory__name": "Production"})
    host = await api.first("hosts", params={"name": "web-01"})
    assert group is not None
    assert host is not None

    for _ in range(2):
        await api.associate("groups", group["id"], "hosts", id=host["id"])
    assert (await api.page("groups", group["id"], "hosts")).total == 6
    for _ in range(2):
        await api.associate("groups", group["id"], "hosts", id=host["id"], remove=True)
    assert (await api.page("groups", group["id"], "hosts")).total == 5
