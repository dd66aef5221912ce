"""Every shape in which AWX refuses becomes one error: its kind, its reasons by field, and a sentence."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, cast

import pytest
from tests.plugins.awx.shapes import RECORDED

from pegboard import ToolError
from pegboard_awx.answers import refusal

KINDS = {400: "validation", 401: "auth", 403: "permission", 404: "not_found", 405: "not_allowed_now", 409: "conflict"}
OTHER_KINDS = {
    "error_400_duplicate_host": "conflict",
    "error_400_duplicate_org": "conflict",
    "error_400_duplicate_template": "conflict",
    "user_create_duplicate_400": "conflict",
    "error_job_delete_running_403": "not_allowed_now",
    "workflow_approval_approve_again_400": "not_allowed_now",
    "inventory_update_all_sources_none": "not_allowed_now",
    "aap_mode_create_org_403": "policy",
    "aap_mode_create_team_403": "policy",
    "aap_mode_create_user_403": "policy",
    "aap_mode_delete_user_403": "policy",
    "aap_mode_patch_org_name_403": "policy",
    "aap_mode_patch_user_403": "policy",
}
"""Where the words of AWX say more than the status."""


def refusals() -> list[Mapping[str, Any]]:
    files = sorted(path for path in RECORDED.glob("*.json") if path.name != "objects.json")
    fixtures = [fixture for path in files for fixture in json.loads(path.read_text())]
    return [fixture for fixture in fixtures if fixture["status"] >= 400 and "body" in fixture]


def words(body: Any) -> Iterator[str]:
    if isinstance(body, dict):
        for one in cast(dict[str, Any], body).values():
            yield from words(one)
    elif isinstance(body, list):
        for one in cast(list[Any], body):
            yield from words(one)
    elif isinstance(body, str):
        yield body


@pytest.mark.parametrize("fixture", refusals(), ids=lambda fixture: str(fixture["name"]))
def test_a_recorded_refusal_is_told_with_all_its_reasons(fixture: Mapping[str, Any]) -> None:
    error = refusal(fixture["status"], json.dumps(fixture["body"]).encode(), "POST hosts/")

    usual = KINDS.get(fixture["status"], "validation")
    assert error.kind == OTHER_KINDS.get(fixture["name"], usual)
    assert isinstance(error, ToolError)
    assert error.status == fixture["status"]
    told = json.dumps(error.fields, ensure_ascii=False)
    for text in words(fixture["body"]):
        if text != "job":
            assert json.dumps(text[:300], ensure_ascii=False)[1:-1] in told


def test_reasons_stand_under_their_fields() -> None:
    body = {"name": ["This field is required."], "inputs": {"ssh_key_data": ["Invalid certificate or key"]}}

    error = refusal(400, json.dumps(body).encode(), "POST credentials/")

    assert error.fields["name"] == ["This field is required."]
    assert "name: This field is required" in str(error)
    assert "inputs.ssh_key_data: Invalid certificate or key" in str(error)


def test_the_jobs_that_are_in_the_way_are_named() -> None:
    body = {"error": "Resource is being used by running jobs.", "active_jobs": [{"id": 8, "type": "job"}]}

    error = refusal(409, json.dumps(body).encode(), "DELETE inventories/3/")

    assert error.kind == "conflict"
    assert error.fields["active_jobs"] == [{"id": 8, "type": "job"}]
    assert "active jobs 8" in str(error)


def test_a_web_page_is_no_reason_to_show_it() -> None:
    error = refusal(404, b"<!doctype html><title>Not Found</title>", "GET nosuch/")

    assert error.kind == "not_found"
    assert "<" not in str(error)


def test_many_reasons_are_cut() -> None:
    body = {f"field{number}": ["x" * 1000] for number in range(100)}

    assert len(str(refusal(400, json.dumps(body).encode(), "POST hosts/"))) < 3000


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b"3", b'"text"', b"[[1]]", b'{"a": null}', b"\xff\xfe", b"{" * 5000]
)
def test_no_body_breaks_the_reading(body: bytes) -> None:
    assert refusal(400, body, "POST hosts/").status == 400
