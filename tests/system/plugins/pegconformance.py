"""What the official conformance suite expects of a server, under the exact names it calls."""

import json
from typing import Annotated, Any, Literal

import anyio
from mcp import MCPError
from mcp_types import (
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    AudioContent,
    BlobResourceContents,
    EmbeddedResource,
    ImageContent,
    PromptMessage,
    SamplingMessage,
    TextContent,
    TextResourceContents,
)
from pydantic import BaseModel, Field

from pegboard import Call, Plugin, ToolError, hookimpl, tool

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
WAV = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA="
PAUSE = 0.05
"""The suite asks for pauses of this length, so that clients see the notifications one by one."""

ENUMS = {
    "type": "object",
    "properties": {
        "untitledSingle": {"type": "string", "enum": ["option1", "option2", "option3"]},
        "titledSingle": {
            "type": "string",
            "oneOf": [{"const": f"value{n}", "title": f"Option {n}"} for n in (1, 2)],
        },
        "legacyEnum": {
            "type": "string",
            "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"],
        },
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": ["option1", "option2", "option3"]}},
        "titledMulti": {
            "type": "array",
            "items": {
                "anyOf": [{"const": f"value{n}", "title": f"{w} Choice"} for n, w in ((1, "First"), (2, "Second"))]
            },
        },
    },
}

DEFAULTS = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "default": True},
    },
}

QUESTION = {
    "type": "object",
    "properties": {
        "username": {"type": "string", "description": "User's response"},
        "email": {"type": "string", "description": "User's email address"},
    },
    "required": ["username", "email"],
}


@tool(read_only=True, name="test_simple_text")
async def simple_text() -> str:
    """Return text."""
    return "This is a simple text response for testing."


@tool(read_only=True, name="test_image_content")
async def image_content() -> ImageContent:
    """Return an image."""
    return ImageContent(type="image", data=PNG, mime_type="image/png")


@tool(read_only=True, name="test_audio_content")
async def audio_content() -> AudioContent:
    """Return sound."""
    return AudioContent(type="audio", data=WAV, mime_type="audio/wav")


@tool(read_only=True, name="test_embedded_resource")
async def embedded_resource() -> EmbeddedResource:
    """Return a resource."""
    return _embedded("test://embedded-resource", "text/plain", "This is an embedded resource content.")


@tool(read_only=True, name="test_multiple_content_types")
async def multiple_content_types() -> list[TextContent | ImageContent | EmbeddedResource]:
    """Return text, an image and a resource."""
    return [
        TextContent(type="text", text="Multiple content types test:"),
        ImageContent(type="image", data=PNG, mime_type="image/png"),
        _embedded("test://mixed-content-resource", "application/json", json.dumps({"test": "data", "value": 123})),
    ]


@tool(read_only=True, name="test_tool_with_progress")
async def with_progress(call: Call[Any]) -> str:
    """Report progress three times."""
    for step in (0, 50, 100):
        await call.progress(step, 100, f"Completed step {step} of 100")
        await anyio.sleep(PAUSE)
    return "Tool with progress executed successfully"


@tool(read_only=True, name="test_error_handling")
async def error_handling() -> str:
    """Fail."""
    raise ToolError("This tool intentionally returns an error for testing")


@tool(read_only=True, name="test_sampling")
async def sampling(prompt: str, call: Call[Any]) -> str:
    """Ask the client's model."""
    assert call.request is not None
    question = SamplingMessage(role="user", content=TextContent(type="text", text=prompt))
    answer = await call.request.session.create_message(  # pyright: ignore[reportDeprecated] # so is the scenario
        [question], max_tokens=100, related_request_id=call.request.request_id
    )
    content = answer.content
    return f"LLM response: {content.text if isinstance(content, TextContent) else content}"


@tool(read_only=True, name="test_elicitation")
async def elicitation(message: str, call: Call[Any]) -> str:
    """Ask the user."""
    return f"User response: {await _elicit(call, message, QUESTION)}"


@tool(read_only=True, name="test_elicitation_sep1034_defaults")
async def elicitation_defaults(call: Call[Any]) -> str:
    """Ask the user, with a default for each type."""
    return f"Elicitation completed: {await _elicit(call, 'Please review the defaults', DEFAULTS)}"


@tool(read_only=True, name="test_elicitation_sep1330_enums")
async def elicitation_enums(call: Call[Any]) -> str:
    """Ask the user, with each kind of choice."""
    return f"Elicitation completed: {await _elicit(call, 'Please choose', ENUMS)}"


@tool(read_only=True, name="test_missing_capability")
async def missing_capability(call: Call[Any]) -> str:
    """Need something the client cannot do."""
    needed: dict[str, Any] = {"requiredCapabilities": {"sampling": {}}}
    raise MCPError(MISSING_REQUIRED_CLIENT_CAPABILITY, "this needs sampling", needed)


@tool(read_only=True, name="test_custom_header")
async def custom_header(region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})]) -> str:
    """Take an argument that is mirrored in a header."""
    return region


@tool(read_only=True, name="test_streaming_elicitation")
async def streaming_elicitation(call: Call[Any]) -> str:
    """Ask the user on the stateless protocol."""
    await call.confirm("Go on?")
    return "confirmed"


@tool(read_only=True, name="test_logging_tool")
async def logging_tool(call: Call[Any]) -> str:
    """Log, which the hub keeps to itself."""
    call.log.info("working")
    return "logged"


class Address(BaseModel):
    street: str
    city: str


@tool(read_only=True, name="json_schema_2020_12_tool")
async def json_schema(name: str, address: Address, kind: Literal["a", "b"] = "a") -> str:
    """Take nested arguments."""
    return f"{name} {address.city} {kind}"


async def simple_prompt() -> str:
    """A prompt."""
    return "This is a simple prompt for testing."


async def prompt_with_arguments(
    arg1: Annotated[str, Field(description="First test argument")],
    arg2: Annotated[str, Field(description="Second test argument")],
) -> str:
    """A prompt with arguments."""
    return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"


async def prompt_with_embedded_resource(resourceUri: str) -> list[PromptMessage | str]:  # noqa: N803 # the suite's
    """A prompt with a resource."""
    resource = _embedded(resourceUri, "text/plain", "Embedded resource content for testing.")
    return [PromptMessage(role="user", content=resource), "Please process the embedded resource above."]


async def prompt_with_image() -> list[PromptMessage | str]:
    """A prompt with an image."""
    image = ImageContent(type="image", data=PNG, mime_type="image/png")
    return [PromptMessage(role="user", content=image), "Please analyze the image above."]


async def static_text() -> str:
    """A text."""
    return "This is the content of the static text resource."


async def static_binary() -> BlobResourceContents:
    """An image."""
    return BlobResourceContents(uri="test://static-binary", mime_type="image/png", blob=PNG)


async def template(id: str) -> dict[str, Any]:  # noqa: A002 # the suite's
    """One of many."""
    return {"id": id, "templateTest": True, "data": f"Data for ID: {id}"}


async def watched() -> str:
    """A text one could watch."""
    return "Watched resource content"


@hookimpl
def hub_plugin() -> Plugin:
    return Plugin(
        name="conformance",
        tools=[
            simple_text,
            image_content,
            audio_content,
            embedded_resource,
            multiple_content_types,
            with_progress,
            error_handling,
            sampling,
            elicitation,
            elicitation_defaults,
            elicitation_enums,
            missing_capability,
            custom_header,
            streaming_elicitation,
            logging_tool,
            json_schema,
        ],
        prompts={
            "test_simple_prompt": simple_prompt,
            "test_prompt_with_arguments": prompt_with_arguments,
            "test_prompt_with_embedded_resource": prompt_with_embedded_resource,
            "test_prompt_with_image": prompt_with_image,
        },
        resources={
            "test://static-text": static_text,
            "test://static-binary": static_binary,
            "test://template/{id}/data": template,
            "test://watched-resource": watched,
        },
    )


def _embedded(uri: str, mime_type: str, text: str) -> EmbeddedResource:
    return EmbeddedResource(type="resource", resource=TextResourceContents(uri=uri, mime_type=mime_type, text=text))


async def _elicit(call: Call[Any], message: str, schema: dict[str, Any]) -> str:
    assert call.request is not None
    answer = await call.request.session.elicit_form(message, schema, related_request_id=call.request.request_id)
    return f"action={answer.action}, content={json.dumps(getattr(answer, 'content', None))}"
