"""A plugin for the system tests that does everything wrong: its secrets are in all it raises and logs."""

import logging
from typing import Literal

import anyio
from pydantic import BaseModel, SecretStr

from pegboard import HTTP, Call, Plugin, PluginSettings, ToolError, hookimpl, tool

Way = Literal["error", "group", "chained", "log", "library", "backend", "refuse", "pool", "slow", "exit"]


class Login(BaseModel):
    password: SecretStr


class Settings(PluginSettings):
    token: SecretStr
    login: Login
    url: str


@tool(read_only=True, timeout=2)
async def leak(way: Way, call: Call[Settings], password: str = "") -> str:
    """Let the secrets out."""
    token, nested = call.settings.token.get_secret_value(), call.settings.login.password.get_secret_value()
    told = f"login with {token} and {nested}, at {call.settings!r} by {call!r}"
    if way == "log":
        call.log.warning("%s", told)
        call.log.error(told, extra={"token": token})
    elif way == "library":
        logging.getLogger("some.library").info("Authorization: Bearer %s", token)
        logging.getLogger("httpx").warning("sent %s", {"password": nested})
    elif way == "pool":
        await call.pool(HTTP, f"http://user:{nested}@127.0.0.1:9/{token}")
    elif way == "backend":
        http = await call.pool(HTTP, call.settings.url)
        response = await http.get("/", headers={"Authorization": f"Bearer {token}", "X-Nested": nested})
        raise RuntimeError(f"the backend says {response.text}")
    elif way == "slow":
        await call.progress(1, 2, "waiting")
        await anyio.sleep(30)
    else:
        fail(way, told, token, nested)
    return "done"


def fail(way: Way, told: str, token: str, nested: str) -> None:
    if way == "group":
        raise ExceptionGroup(told, [ValueError(token), KeyError(nested)])
    if way == "refuse":
        raise ToolError(f"the backend does not know {token}")
    if way == "exit":
        raise SystemExit(told)
    try:
        raise ValueError(f"https://user:{nested}@example.com refused {token}")
    except ValueError as error:
        raise RuntimeError(told) from (error if way == "chained" else None)


@hookimpl
def hub_plugin() -> Plugin:
    return Plugin(name="leak", tools=[leak], settings=Settings)
