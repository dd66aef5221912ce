"""Resources: a function behind a URI, or behind every URI that fits a template."""

from base64 import b64decode
from typing import Any, get_args
from urllib.parse import quote

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp import MCPError
from mcp_types import BlobResourceContents, TextResourceContents

from pegboard import Call, Plugin, PluginSettings, ToolError
from pegboard.resources import BoundResource
from pegboard.testing import connect
from pegboard.testing.connect import Era

ERAS: tuple[Era, ...] = get_args(Era)


async def motto() -> str:
    """The motto."""
    return "one place"


def note(id: int, call: Call[PluginSettings]) -> dict[str, Any]:  # noqa: A002
    """One note."""
    return {"id": id, "by": call.tool, "score": float("nan")}


NOTES = Plugin(name="notes", resources={"notes://motto": motto, "notes://{id}/text": note})


@pytest.mark.parametrize("era", ERAS)
async def test_resources_and_templates_are_listed_apart(era: Era) -> None:
    async with connect(NOTES, era=era) as client:
        budget, resource = (await client.list_resources()).resources
        (template,) = (await client.list_resource_templates()).resource_templates

    assert (resource.uri, resource.name, resource.description) == ("notes://motto", "motto", "The motto.")
    assert budget.uri == "pegboard://budget"
    assert (template.uri_template, template.name, template.description) == ("notes://{id}/text", "note", "One note.")


@pytest.mark.parametrize("era", ERAS)
async def test_a_string_is_text_and_data_is_json(era: Era) -> None:
    async with connect(NOTES, era=era) as client:
        (text,) = (await client.read_resource("notes://motto")).contents
        (data,) = (await client.read_resource("notes://7/text")).contents

    assert text == TextResourceContents(uri="notes://motto", mime_type="text/plain", text="one place")
    assert data == TextResourceContents(
        uri="notes://7/text", mime_type="application/json", text='{"id":7,"by":"note","score":null}'
    )


async def test_bytes_are_a_blob_and_contents_pass_as_they_are() -> None:
    own = TextResourceContents(uri="x://own", mime_type="text/markdown", text="# Hi")
    plugin = Plugin(name="x", resources={"x://bytes": lambda: b"\x00\xff", "x://own": lambda: own})

    async with connect(plugin) as client:
        (blob,) = (await client.read_resource("x://bytes")).contents
        (contents,) = (await client.read_resource("x://own")).contents

    assert isinstance(blob, BlobResourceContents)
    assert (b64decode(blob.blob), blob.mime_type) == (b"\x00\xff", "application/octet-stream")
    assert contents == own


@pytest.mark.parametrize(
    ("uri", "code", "message"),
    [
        ("notes://nowhere", -32602, "there is no resource 'notes://nowhere' here"),
        ("notes://7/8/text", -32602, "there is no resource 'notes://7/8/text' here"),
        ("notes://seven/text", -32602, 'invalid arguments\n- id: must be a whole number, not "seven"'),
    ],
)
async def test_what_cannot_be_read_is_told(uri: str, code: int, message: str) -> None:
    async with connect(NOTES) as client:
        with pytest.raises(MCPError) as caught:
            await client.read_resource(uri)

    assert (caught.value.code, caught.value.message) == (code, message)


async def test_errors_of_a_resource_are_told_or_masked_as_a_tools_are() -> None:
    def gone() -> str:
        raise ToolError("it was deleted")

    def crash() -> str:
        raise LookupError("hunter2")

    async def pass_on() -> str:
        raise MCPError(-32002, "resource not found")

    resources = {"x://gone": gone, "x://crash": crash, "x://pass": pass_on}
    messages: list[str] = []
    with anyio.fail_after(5):
        async with connect(Plugin(name="x", resources=resources)) as client:
            for uri in resources:
                with pytest.raises(MCPError) as caught:
                    await client.read_resource(uri)
                messages.append(caught.value.message)

    assert messages[0] == "it was deleted"
    assert messages[1].startswith("internal error in crash, ref ")
    assert messages[2] == "resource not found"


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.text(min_size=1, alphabet="abc"))
def test_what_is_quoted_into_a_template_comes_out_again(first: str, second: str) -> None:
    def read(first: str, second: str) -> str:
        return first + second

    resource = BoundResource(Plugin(name="x"), "x://{first}/is/{second}", read, PluginSettings())

    assert resource.match(f"x://{quote(first, safe='')}/is/{second}") == {"first": first, "second": second}
    assert resource.match(f"x://{quote(first, safe='')}/was/{second}") is None


def test_the_rest_of_a_uri_is_no_pattern() -> None:
    resource = BoundResource(Plugin(name="x"), "x://a.b?c=(d)+", lambda: "", PluginSettings())

    assert not resource.is_template
    assert resource.match("x://a.b?c=(d)+") == {}
    assert resource.match("x://aXb?c=(d)+") is None
