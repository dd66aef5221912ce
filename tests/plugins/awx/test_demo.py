"""The demo of the plugin: an AWX that is there, full, and gone again."""

from pathlib import Path

import httpx
import pytest
from tests.plugins.awx.conftest import reaching

from pegboard_awx.demo import demo


async def test_the_demo_is_an_awx_with_a_past(tmp_path: Path) -> None:
    async with demo(tmp_path, lambda _: None) as offered:
        settings = offered["settings"]
        async with reaching(settings["url"], token=settings["token"]) as api:
            failed = await api.page("jobs", params={"status": "failed"})
            me = await api.get("me")

    assert (failed.total or 0) > 10
    assert me["results"][0]["username"] == "admin"
    assert len(offered["questions"]) == 3
    assert list(tmp_path.iterdir()) == []
    async with httpx.AsyncClient() as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(settings["url"])
