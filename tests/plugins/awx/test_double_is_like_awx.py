"""The double answers as a real AWX 24.6.1 did: status, headers and shape of recorded answers.

`recorded/` was distilled from the traffic of that server: requests, with the names of the lab in place of ids, and of
the answers what can be compared.
"""

import base64
import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, cast

import httpx
import pytest
from tests.plugins.awx.lab import ADMIN, PASSWORD, READ, VIEWER_PASSWORD, WRITE, Lab, make_lab
from tests.plugins.awx.shapes import RECORDED, problems

Fixture = Mapping[str, Any]


@cache
def recorded() -> list[Fixture]:
    files = sorted(path for path in RECORDED.glob("*.json") if path.name != "objects.json")
    return [fixture for path in files for fixture in json.loads(path.read_text())]


def by_name(fixture: Fixture) -> str:
    return str(fixture["name"])


def decided(lab: Lab) -> None:
    lab.double.life.finish(lab.rows["approval"], "successful", lab.world.now())


def finished(lab: Lab) -> None:
    lab.wait(600)


def canceled(lab: Lab) -> None:
    lab.double.life.cancel(lab.rows["slow_job"])
    lab.wait(5)


ARRANGED: Mapping[str, Callable[[Lab], None]] = {
    "viewer_get_template_read": lambda lab: lab.grant("hello", "read_role"),
    "viewer_launch_read_only_403": lambda lab: lab.grant("hello", "read_role"),
    "viewer_launch_ok": lambda lab: lab.grant("hello", "execute_role"),
    "workflow_approval_approve_again_400": decided,
    "workflow_job_nodes_done": decided,
    "job_cancel_post_finished_405": canceled,
    "job_delete": canceled,
    "job_detail_canceled": canceled,
    "job_template_delete_again_404": lambda lab: lab.world.remove(lab.rows["copy"], None),
    "inventory_after_delete": lambda lab: lab.world.remove(lab.rows["temp_inventory"], None),
    "execution_environment_create": lambda lab: lab.world.remove(lab.rows["environment"], None),
}
"""What happened before a request, where the lab alone is not enough."""

ACCEPT = {
    "job_stdout_txt_accept_json_406": "application/json",
    "job_stdout_accept_text_plain": "text/plain",
    "job_stdout_no_format": "text/html",
    "job_stdout_running_json": "application/json",
    "metrics_text": "text/plain",
    "error_406_accept": "application/xml",
}

CREDENTIALS = {
    "basic:admin": f"Basic {base64.b64encode(f'{ADMIN}:{PASSWORD}'.encode()).decode()}",
    "basic:viewer": f"Basic {base64.b64encode(f'viewer:{VIEWER_PASSWORD}'.encode()).decode()}",
    "bearer": f"Bearer {WRITE}",
    "none": "",
}
OTHER_CREDENTIALS = {
    "error_401_bad_password": f"Basic {base64.b64encode(b'admin:wrong').decode()}",
    "error_401_bad_token": "Bearer nosuchtoken",
    "bearer_revoked_401": "Bearer revoked",
    "bearer_read_scope_write_403": f"Bearer {READ}",
    "bearer_read_scope_launch_403": f"Bearer {READ}",
}


@pytest.fixture(scope="module")
def shared_lab() -> Lab:
    """For requests that change nothing."""
    return make_lab()


async def ask(lab: Lab, fixture: Fixture) -> httpx.Response:
    request = fixture["request"]
    name, path = by_name(fixture), str(request["path"])
    if lab.double.platform and path.startswith("/api/v2/"):
        path = path.replace("/api/v2/", "/api/controller/v2/")
    for key, id_ in lab.ids.items():
        path = path.replace(f"{{{key}}}", str(id_))
    headers = {"Accept": ACCEPT.get(name, "*/*" if "/stdout/" in path else "application/json")}
    headers["Authorization"] = OTHER_CREDENTIALS.get(name, CREDENTIALS[request["auth"]])
    content = _content(request.get("body"), lab, renamed=fixture["status"] == 201)
    if content is not None:
        form = name == "error_415_media_type"
        headers["Content-Type"] = "application/x-www-form-urlencoded" if form else "application/json"
    async with httpx.AsyncClient(transport=httpx.ASGITransport(lab.double), base_url="http://awx") as client:
        return await client.request(request["method"], path, content=content, headers=headers)


def _content(body: Any, lab: Lab, *, renamed: bool) -> str | None:
    if body is None or isinstance(body, str):
        return body
    return json.dumps(_resolved(_renamed(body) if renamed else body, lab))


def _renamed(body: Any) -> Any:
    """The same under names that the lab has not taken."""
    if isinstance(body, list):
        return [_renamed(one) for one in cast(list[Any], body)]
    if not isinstance(body, dict):
        return body
    names = ("name", "username", "identifier", "local_path")
    given = cast(dict[str, Any], body)
    return {key: f"{one} again" if key in names and one else _renamed(one) for key, one in given.items()}


def _resolved(body: Any, lab: Lab) -> Any:
    if isinstance(body, str) and body.startswith("@"):
        return lab.ids[body[1:]]
    if isinstance(body, list):
        return [_resolved(one, lab) for one in cast(list[Any], body)]
    if isinstance(body, dict):
        return {key: _resolved(one, lab) for key, one in cast(dict[str, Any], body).items()}
    return body


def lab_for(fixture: Fixture, shared: Lab) -> Lab:
    name = by_name(fixture)
    platform = name.startswith(("aap_mode", "controller_prefix"))
    if fixture["request"]["method"] == "GET" and name not in ARRANGED and not platform:
        return shared
    lab = make_lab(platform=platform)
    ARRANGED.get(name, lambda _: None)(lab)
    return lab


@pytest.mark.parametrize("fixture", recorded(), ids=by_name)
async def test_the_double_answers_as_awx_did(fixture: Fixture, shared_lab: Lab) -> None:
    response = await ask(lab_for(fixture, shared_lab), fixture)

    assert response.status_code == fixture["status"], response.text[:500]
    assert differences(fixture, response) == []


def differences(fixture: Fixture, response: httpx.Response) -> list[str]:
    wanted = fixture["headers"]
    found = [
        f"{name}: {response.headers.get(name)!r}, not {wanted.get(name)!r}"
        for name in ("Content-Type", "WWW-Authenticate")
        if response.headers.get(name) != wanted.get(name)
    ]
    if not methods(response.headers.get("Allow", "")) <= methods(wanted.get("Allow", "")) | {"HEAD"}:
        found.append(f"Allow: {response.headers.get('Allow')}, more than {wanted.get('Allow')}")
    found += [
        f"{name} is there or not"
        for name in ("X-API-Product-Name", "X-API-Product-Version")
        if (name in response.headers) is not wanted[name]
    ]
    location = response.headers.get("Location", "").split("/")
    if "Location" in wanted and wanted["Location"] not in location:
        found.append(f"Location: {location}")
    return [*found, *_body_differences(fixture, response)]


def methods(allow: str) -> set[str]:
    return {method.strip() for method in allow.split(",")}


def _body_differences(fixture: Fixture, response: httpx.Response) -> list[str]:
    shape = fixture["shape"]
    if shape is None:
        return [] if not response.content else ["there is a body"]
    if shape == "text":
        return [] if response.content or fixture["status"] == 301 else ["there is no body"]
    if "body" in fixture:
        return _refusal_differences(fixture["body"], response.json())
    return list(problems(response.json(), shape))


def _refusal_differences(wanted: Any, given: Any) -> list[str]:
    """Refusals have the same words, but for the ids and names that are the lab's own."""
    return [] if _words(wanted) == _words(given) else [f"{given}, not {wanted}"]


def _words(body: Any) -> Any:
    if isinstance(body, dict):
        return {key: _words(one) for key, one in cast(dict[str, Any], body).items()}
    if isinstance(body, list):
        return [_words(one) for one in cast(list[Any], body)]
    return 0 if isinstance(body, int) else body
