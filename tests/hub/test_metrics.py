"""Metrics: what is counted about calls, requests and refusals."""

from typing import get_args

import mcp_types

from pegboard import Plugin, ToolError
from pegboard.metrics import MAX_SERIES, METHODS, Metrics, Reading
from pegboard.testing import client_of, hub_of


def values(metrics: Metrics, name: str) -> dict[tuple[str, ...], float]:
    """What a metric says, without what it has not seen."""
    (reading,) = [one for one in metrics.readings() if one.name == name]
    return {labels: value for labels, value in reading.values.items() if value}


def test_calls_are_counted_by_how_they_ended_and_by_how_long_they_took() -> None:
    metrics = Metrics()

    metrics.call("awx", "awx_jobs", "ok", 0.003)
    metrics.call("awx", "awx_jobs", "ok", 0.2)
    metrics.call("awx", "awx_jobs", "timeout", 30)

    assert values(metrics, "pegboard.calls") == {("awx", "awx_jobs", "ok"): 2, ("awx", "awx_jobs", "timeout"): 1}
    cell = metrics.call_seconds.cells["awx", "awx_jobs"]
    at = dict(zip((*metrics.call_seconds.bounds, "more"), cell.counts, strict=True))
    assert (at[0.005], at[0.25], at[30.0], sum(cell.counts), cell.sum) == (1, 1, 1, 3, 30.203)


def test_a_value_beyond_the_last_bound_is_counted() -> None:
    metrics = Metrics()

    metrics.lagged(3600)

    assert metrics.lag.cells[()].counts[-1] == 1


def test_the_names_that_the_old_servers_promised_are_there() -> None:
    metrics = Metrics()

    metrics.call("awx", "awx_jobs", "ok", 1)
    metrics.call("awx", "awx_jobs", "crash", 1)
    metrics.request("tools/call", "sse", "ok", 1)
    metrics.request("tools/call", "sse", "refused", 0)

    assert values(metrics, "mcp.requests") == {("tools/call", "sse", "ok"): 1, ("tools/call", "sse", "refused"): 1}
    assert values(metrics, "mcp.tool_calls") == {("awx_jobs", "success"): 1, ("awx_jobs", "error"): 1}
    assert values(metrics, "mcp.errors") == {("crash",): 1, ("request",): 1}


def test_the_methods_are_those_of_the_protocol() -> None:
    models = [getattr(mcp_types, name) for name in mcp_types.__all__ if name.endswith("Request")]
    fields = [model.model_fields.get("method") for model in models if hasattr(model, "model_fields")]
    methods = {method for field in fields if field is not None for method in get_args(field.annotation)}

    of_servers = ("elicitation/", "roots/", "sampling/", "tasks/")
    of_clients = {method for method in methods if not method.startswith(of_servers)}
    assert of_clients == METHODS


def test_what_a_client_makes_up_is_no_label() -> None:
    """S-24, S-35: a thousand methods that nobody knows are one series."""
    metrics = Metrics()

    for number in range(1000):
        metrics.request(f"tools/call\r\n{number}", "mcp", "error", 0)

    assert values(metrics, "mcp.requests") == {("other", "mcp", "error"): 1000}


def test_what_is_counted_is_bounded_whatever_has_been_loaded() -> None:
    metrics = Metrics()

    for number in range(MAX_SERIES + 100):
        metrics.call("p", f"p_{number}", "ok", 1)
    metrics.call("p", "p_0", "ok", 1)

    counted = values(metrics, "pegboard.calls")
    assert (len(counted), counted["other", "other", "other"], counted["p", "p_0", "ok"]) == (MAX_SERIES + 1, 100, 2)
    assert len(metrics.call_seconds.cells) == MAX_SERIES + 1


def test_limits_and_denials_are_there_before_the_first() -> None:
    metrics = Metrics()
    found: dict[str, Reading] = {one.name: one for one in metrics.readings()}

    assert found["pegboard.limited"].values["rate",] == 0
    assert found["pegboard.denied"].values["credential",] == 0
    metrics.limited("rate")
    metrics.denied("credential")
    assert values(metrics, "pegboard.limited") == {("rate",): 1}
    assert values(metrics, "pegboard.denied") == {("credential",): 1}


async def test_every_call_is_counted_by_its_outcome() -> None:
    async def works() -> str:
        return "ok"

    async def refuses() -> str:
        raise ToolError("no")

    async def crashes() -> str:
        raise LookupError

    async with hub_of(Plugin(name="p", tools=[works, refuses, crashes])) as hub, client_of(hub) as client:
        for tool in ("p_works", "p_refuses", "p_crashes"):
            await client.call_tool(tool, {})

        counted = values(hub.metrics, "pegboard.calls")
        assert counted == {("p", "p_works", "ok"): 1, ("p", "p_refuses", "error"): 1, ("p", "p_crashes", "crash"): 1}
        assert hub.metrics.running == 0


async def test_a_call_that_runs_is_counted_as_running() -> None:
    seen: list[int] = []

    async def works() -> None:
        seen.append(hub.metrics.running)

    async with hub_of(Plugin(name="p", tools=[works])) as hub, client_of(hub) as client:
        await client.call_tool("p_works", {})

    assert seen == [1]


async def test_two_hubs_share_no_counts() -> None:
    async def works() -> None: ...

    plugin = Plugin(name="p", tools=[works])
    async with hub_of(plugin) as one, hub_of(plugin) as other, client_of(one) as client:
        await client.call_tool("p_works", {})

        assert one.metrics.calls
        assert not other.metrics.calls
