"""Lists of AWX as rows: one page after the other, as far as somebody reads."""

from pegboard import Call
from pegboard.pools import Pools
from pegboard.rows import Reading
from pegboard_awx import Settings
from pegboard_awx.double import Double
from pegboard_awx.double.seed import TOKEN
from pegboard_awx.listing import listing


def call_of(pools: Pools, url: str) -> Call[Settings]:
    settings = Settings.model_validate({"url": url, "token": TOKEN})
    return Call(settings=settings, plugin="awx", tool="t", endpoint="", timeout=20, deadline=1e9, pools=pools)


async def names(reading: Reading, count: int) -> list[str]:
    return [str(name) for name in await reading.read(count)]


async def test_a_list_is_read_page_by_page(url: str, double: Double) -> None:
    async with Pools() as pools:
        rows = listing(call_of(pools, url), "hosts", summarize=lambda host: host["name"], params={"order_by": "name"})
        assert rows.source is not None
        async with rows.source() as reading:
            first = await names(reading, 20)
            asked = len(double.seen("GET", "/hosts/"))
            rest = [*await names(reading, 20), *await names(reading, 20)]

    assert (reading.total, reading.pins) == (23, False)
    assert asked == 1
    assert [*first, *rest] == sorted([*first, *rest])
    assert len(first) == 20
    assert len(rest) == 3


async def test_filters_go_to_awx(url: str, double: Double) -> None:
    async with Pools() as pools:
        params = {"name__startswith": "db-"}
        rows = listing(call_of(pools, url), "hosts", summarize=lambda host: host["name"], params=params)
        assert rows.source is not None
        async with rows.source() as reading:
            assert await names(reading, 50) == ["db-01", "db-02", "db-03"]
            assert await names(reading, 50) == []

    assert double.seen("GET", "/hosts/")[0].query.startswith("name__startswith=db-")
