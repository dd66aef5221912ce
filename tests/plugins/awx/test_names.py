"""Things are called by number, by exact name, or by name and place."""

import pytest

from pegboard_awx import AwxError
from pegboard_awx.api import Api
from pegboard_awx.double import Double
from pegboard_awx.names import COLLECTIONS, find, resolve


@pytest.mark.parametrize("ref", [5, "5", " 5 "])
async def test_a_number_is_believed(api: Api, double: Double, ref: int | str) -> None:
    assert await resolve(api, "job_templates", ref) == 5
    assert double.requests == []


async def test_an_exact_name_is_found(api: Api, double: Double) -> None:
    wanted = double.world.store.find("job_templates", name="Deploy web shop")
    assert wanted is not None

    assert await resolve(api, "job_templates", "Deploy web shop") == wanted["id"]


@pytest.mark.parametrize(
    ("collection", "ref", "name"),
    [
        ("job_templates", "Hello++Lab", "Hello"),
        ("hosts", "web-01++Production++Alpenkraft", "web-01"),
        ("hosts", "web-01++Production", "web-01"),
        ("users", "nora", "nora"),
        ("schedules", "Patch day", "Patch day"),
        ("instances", "awx-1", "awx-1"),
    ],
)
async def test_a_name_may_say_its_place(api: Api, double: Double, collection: str, ref: str, name: str) -> None:
    found = await find(api, collection, ref)

    assert found[COLLECTIONS[collection].name] == name


async def test_a_name_with_two_pluses_in_it_is_found(api: Api, double: Double) -> None:
    made = await api.post("organizations", json={"name": "C++ guild"})

    assert await resolve(api, "organizations", "C++ guild") == made["id"]


async def test_a_name_that_several_have_is_refused_with_the_candidates(api: Api, double: Double) -> None:
    with pytest.raises(AwxError) as raised:
        await resolve(api, "groups", "web")

    assert raised.value.kind == "validation"
    assert len(raised.value.fields["candidates"]) == 2
    assert "2 groups are called 'web'" in str(raised.value)
    assert "(Production)" in str(raised.value)
    assert "(Staging)" in str(raised.value)


async def test_filters_narrow_what_a_name_can_mean(api: Api, double: Double) -> None:
    staging = double.world.store.find("inventories", name="Staging")
    assert staging is not None

    found = await find(api, "groups", "web", within={"inventory": staging["id"]})

    assert found["inventory"] == staging["id"]


async def test_a_name_nobody_has_is_refused_with_those_that_are_near(api: Api) -> None:
    with pytest.raises(AwxError, match="there is no job template 'deploy'; did you mean 'Ad hoc deploy'") as raised:
        await resolve(api, "job_templates", "deploy")

    assert raised.value.kind == "not_found"


async def test_where_nothing_is_near_the_tool_that_lists_is_named(api: Api) -> None:
    with pytest.raises(AwxError, match="awx_list_hosts lists them"):
        await resolve(api, "hosts", "nothing like it")


@pytest.mark.parametrize("name", ["../../admin", "a/b", "?x=1", "%2e%2e", "++", "x' OR 1=1", "ünï cödé 🏔"])
async def test_a_name_never_becomes_a_path(api: Api, double: Double, name: str) -> None:
    with pytest.raises(AwxError) as raised:
        await resolve(api, "job_templates", name)

    assert raised.value.kind == "not_found"
    assert {one.path for one in double.requests} <= {"/api/", "/api/v2/ping/", "/api/v2/job_templates/"}
