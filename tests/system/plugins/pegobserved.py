"""A plugin that gives an operator something to look at: a pool, failures, and a tool that holds up everybody."""

import logging
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from pydantic import SecretStr

from pegboard import Call, Plugin, PluginSettings, PoolKind, ToolError, Usage, hookimpl, tool


class Settings(PluginSettings):
    dsn: SecretStr


@asynccontextmanager
async def _open(target: str) -> AsyncGenerator[str]:
    yield target


DATABASE = PoolKind("database", _open, usage=lambda _: Usage(size=2, in_use=1, waiting=0, limit=4))


class Observed:
    @hookimpl
    def hub_plugin(self) -> Plugin:
        tools = [self.work, self.refuse, self.crash, self.block, self.shout]
        return Plugin(name="observed", settings=Settings, tools=tools)

    @tool(read_only=True)
    async def work(self, call: Call[Settings], text: str = "") -> str:
        """Use the pool."""
        await call.pool(DATABASE, call.settings.dsn.get_secret_value())
        return text

    @tool(read_only=True)
    async def refuse(self) -> str:
        """Fail as expected."""
        raise ToolError("not today")

    @tool(read_only=True)
    async def crash(self, call: Call[Settings]) -> str:
        """Fail with a secret in the message."""
        raise RuntimeError(f"cannot connect to {call.settings.dsn.get_secret_value()}")

    @tool(read_only=True)
    async def block(self, seconds: float) -> str:
        """Hold up the event loop, which no plugin should."""
        time.sleep(seconds)
        return "done"

    @tool(read_only=True)
    async def shout(self, text: str, times: int = 1) -> str:
        """Log what a caller has typed, which no plugin should."""
        for _ in range(times):
            logging.getLogger("observed").warning("somebody typed %s", text)
        return "done"
