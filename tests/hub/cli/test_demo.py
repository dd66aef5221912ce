"""`pegboard demo`: the demos that are there, started and stopped with the hub."""

import json
import signal
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest
from tests.hub.cli.conftest import TEA, Install, Run, Start

from pegboard.cli import demos

SHOP = """
from contextlib import asynccontextmanager


@asynccontextmanager
async def demo(folder, say):
    say("sweeping the floor")
    folder.mkdir(parents=True)
    (folder / "open").touch()
    try:
        yield {"settings": {"kind": "oolong"}, "about": "A tea shop.", "questions": ["Which tea?", "How hot?"]}
    finally:
        (folder / "closed").touch()
"""

NEEDS_MORE = "import no_such_database"

BREAKS = """
from contextlib import asynccontextmanager


@asynccontextmanager
async def demo(folder, say):
    raise RuntimeError()
    yield {}
"""

STUCK = """
from contextlib import asynccontextmanager

import anyio


@asynccontextmanager
async def demo(folder, say):
    folder.mkdir(parents=True)
    try:
        (folder / "open").touch()
        await anyio.sleep_forever()
        yield {}
    finally:
        (folder / "closed").touch()
"""

TRUST = {"PEGBOARD_TRUST_ALLOW": "acme-tea"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_demo_is_served_shown_and_closed_again(start: Start, install: Install, number: int) -> None:
    install("acme-tea", tea=TEA, demos={"tea": SHOP})

    with start("demo", "--with", "tea", "--folder", "data", "--port", "0", "--json", **TRUST) as running:
        ready = running.ready()
        status, _, errors = running.ended(signal=number)

    assert status == 0
    assert ready["demos"] == [{"name": "tea", "about": "A tea shop.", "questions": ["Which tea?", "How hot?"]}]
    assert "demo: tea: sweeping the floor\n" in errors
    assert f"npx mcp-remote {ready['url']}/sse" in errors
    assert f'"{ready["url"]}/sse"' in errors
    assert "tea: A tea shop. Ask your client:\n\n  1. Which tea?\n  2. How hot?\n" in errors
    assert Path("data/tea/closed").exists()
    assert "Traceback" not in errors


def test_people_are_told_on_standard_error_only(start: Start, install: Install) -> None:
    install("acme-tea", tea=TEA, demos={"tea": SHOP})

    with start("demo", "--with", "tea", "--folder", "data", "--port", "0", **TRUST) as running:
        running.wait_for_line("Ctrl-C stops the demo.")
        status, output, _ = running.ended(signal=signal.SIGTERM)

    assert (status, output) == (0, "")


def test_the_hub_of_a_demo_uses_its_data_whatever_is_configured(start: Start, run: Run, install: Install) -> None:
    install("acme-tea", tea=TEA, demos={"tea": SHOP})
    Path("pegboard.toml").write_text('[trust]\nallow = ["acme-tea"]\n[plugins.tea]\nkind = "black"\nkey = "k"\n')

    with start(
        "demo", "--with", "tea", "--folder", "data", "--port", "0", "--json", PEGBOARD_TEA_KIND="red"
    ) as running:
        url = running.ready()["url"]
        result = run("call", "--url", f"{url}/tea/mcp", "tea_brew", "--cups", "1")
        running.ended(signal=signal.SIGTERM)

    assert json.loads(result.stdout)["kind"] == "oolong"


def test_a_demo_that_cannot_start_is_named_with_the_remedy_and_the_rest_starts(start: Start, install: Install) -> None:
    install("acme-tea", tea=TEA, demos={"tea": SHOP, "milk": NEEDS_MORE, "sugar": BREAKS})
    names = ["--with", "tea", "--with", "milk", "--with", "sugar"]

    with start("demo", *names, "--folder", "data", "--port", "0", "--json", **TRUST) as running:
        ready = running.ready()
        _, _, errors = running.ended(signal=signal.SIGTERM)

    assert [demo["name"] for demo in ready["demos"]] == ["tea"]
    assert (
        "demo: milk: the demo cannot start: No module named 'no_such_database'; pip install 'acme-tea[demo]'" in errors
    )
    assert "demo: sugar: the demo cannot start: RuntimeError" in errors


def test_a_demo_of_a_distribution_that_is_not_trusted_is_not_imported(run: Run, install: Install) -> None:
    install("acme-tea", tea=TEA, demos={"tea": "raise SystemExit('never imported')"})

    result = run("demo", "--with", "tea", "--folder", "data")

    assert result.exit_code == 1
    assert "the demo of acme-tea is left out: it was not imported; if you trust it" in result.stderr
    assert "error: no demo could start; what it takes is said above" in result.stderr


def test_no_demo_at_all_is_answered_with_what_to_install(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pegboard.cli.demo.installed_demos", list[object])

    result = run("demo")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "error: no demo is installed; pip install 'pegboard[demo]' brings one\n"


def test_a_demo_nobody_has_is_wrong_usage(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    near, far = run("demo", "--with", "postgre"), run("demo", "--with", "xyzzy")
    monkeypatch.setattr("pegboard.cli.demo.installed_demos", list[object])
    none = run("demo", "--with", "postgres")

    assert (near.exit_code, far.exit_code, none.exit_code) == (2, 2, 2)
    assert "did you mean 'postgres'?" in near.stderr
    assert "there are awx, neo4j, postgres, qdrant" in far.stderr
    assert "pip install 'pegboard[demo]'" in none.stderr


def test_a_signal_while_a_demo_starts_cleans_up_and_ends_it_with_status_0(start: Start, install: Install) -> None:
    install("acme-tea", tea=TEA, demos={"tea": STUCK})

    with start("demo", "--with", "tea", "--folder", "data", **TRUST) as running:
        running.wait_for(Path("data/tea/open"))
        status, _, errors = running.ended(signal=signal.SIGINT)

    assert status == 0
    assert errors.endswith("stopped\n")
    assert Path("data/tea/closed").exists()


def test_the_data_is_kept_where_the_server_of_a_demo_can_reach_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert demos.default_folder() == Path("/var/lib/pegboard/demo")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert demos.default_folder().is_relative_to(Path.home())


@pytest.fixture
def short_folder() -> Generator[str]:
    """A folder that root's server may enter, with a path short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="pegtest-", dir="/tmp") as folder:
        Path(folder).chmod(0o711)
        yield folder


@pytest.mark.system
def test_the_sample_shop_answers_a_question_through_a_real_database(start: Start, run: Run, short_folder: str) -> None:
    query = "select count(*) from orders"

    with start("demo", "--with", "postgres", "--folder", short_folder, "--port", "0", "--json") as running:
        ready = running.ready()
        result = run("call", "--url", f"{ready['url']}/postgres/mcp", "--json", "postgres_query", "--sql", query)
        status, _, errors = running.ended(signal=signal.SIGINT)

    assert json.loads(result.stdout)["rows"] == [[12000]]
    assert len(ready["demos"][0]["questions"]) == 3
    assert "demo: postgres: loading the sample shop" in errors
    assert status == 0
