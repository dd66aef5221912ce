"""The sample shop's texts: the same shop as in PostgreSQL, there after the first start, with something to find."""

import gzip
import time
from collections.abc import AsyncGenerator
from importlib.metadata import entry_points
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from tests.plugins.qdrant.conftest import Tools, tools_of
from tests.plugins.qdrant.export_demo import data
from tests.plugins.qdrant.world import client_of

from pegboard import ToolError
from pegboard_qdrant.demo import QUESTIONS, TEXTS, demo


@pytest.fixture(scope="module")
async def offered(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[dict[str, Any]]:
    """What the demo offers the hub."""
    async with demo(tmp_path_factory.mktemp("demo") / "qdrant", print) as offered:
        yield offered


@pytest.fixture(scope="module")
async def shop(offered: dict[str, Any]) -> AsyncGenerator[Tools]:
    """The tools on the demo's data."""
    async with tools_of(offered["settings"]) as tools:
        yield tools


def test_the_entry_point_names_the_demo() -> None:
    (point,) = entry_points(group="pegboard.demo", name="qdrant")
    assert point.load().demo is demo


def test_the_texts_are_those_of_the_shop_in_postgres() -> None:
    shipped = gzip.decompress((files("pegboard_qdrant") / TEXTS).read_bytes())
    assert shipped == data(), "the sample has changed; run python -m tests.plugins.qdrant.export_demo"


async def test_it_offers_settings_a_line_and_three_questions(offered: dict[str, Any]) -> None:
    folder = Path(offered["settings"]["path"]).parent
    said: list[str] = []
    began = time.monotonic()
    async with demo(folder, said.append) as again:
        assert time.monotonic() - began < 0.5
        assert again == offered
    assert said == []
    assert set(offered["settings"]) == {"path"}
    assert "\n" not in offered["about"]
    assert len(QUESTIONS) == 3


async def test_all_texts_can_be_searched_by_words(shop: Tools) -> None:
    listed = {item["name"]: item for item in (await shop("list_collections"))["items"]}
    assert {name: item["points"] for name, item in listed.items()} == {
        "products": 320,
        "reviews": 4000,
        "tickets": 1519,
    }
    assert all(item["text_search"] == ["text"] for item in listed.values())

    damaged = await shop("search", collection="tickets", query_text="arrived damaged", limit=5)
    assert {point["payload"]["subject"] for point in damaged["points"]} == {"Damaged on arrival"}

    late = await shop("search", collection="reviews", query_text="came much later than promised", filter={"rating": 1})
    assert all("later than promised" in point["payload"]["text"] for point in late["points"])

    balcony = await shop(
        "search", collection="products", query_text="small balcony", filter={"price": {"lt": 60}, "stock": {"gt": 0}}
    )
    assert "balcony" in balcony["points"][0]["payload"]["text"]


async def test_lisbon_has_most_of_what_arrived_damaged(shop: Tools) -> None:
    found = await shop("facets", collection="tickets", key="city", filter={"subject": "Damaged on arrival"})
    assert len(found["values"]) == 10


async def test_an_interrupted_load_is_made_again_and_a_folder_in_use_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "meta.json").write_text("{half")
    said: list[str] = []
    async with demo(tmp_path, said.append) as offered:
        assert said == ["loading the texts of the sample shop (first start only)"]
        assert offered["settings"] == {"path": str(tmp_path / "data")}

    (tmp_path / "version").unlink()
    with client_of(path=str(tmp_path / "data")), pytest.raises(ToolError, match="another process uses the folder"):
        async with demo(tmp_path, said.append):
            pass
