"""The part of asyncpg's API that reading needs: typed here because asyncpg brings no types, and imported late."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, cast


class Type(NamedTuple):
    """A type of the database, like asyncpg's own; an array's name ends in `[]`."""

    oid: int
    name: str
    kind: str
    schema: str


class Attribute(Protocol):
    """A column of a result."""

    @property
    def name(self) -> str: ...
    @property
    def type(self) -> Type: ...


class Prepared(Protocol):
    """A statement the server has parsed."""

    def get_attributes(self) -> Sequence[Attribute]: ...
    def get_parameters(self) -> Sequence[Type]: ...


class Connection(Protocol):
    """An `asyncpg.Connection` in a read-only transaction.

    `fetch`, `fetchrow`, `fetchval` and `prepare` take one statement. `execute` without arguments takes several:
    never give it text you did not write yourself.
    """

    async def execute(self, query: str, *args: Any, timeout: float | None = None) -> str: ...
    async def fetch(self, query: str, *args: Any, timeout: float | None = None) -> list[Any]: ...
    async def fetchrow(self, query: str, *args: Any, timeout: float | None = None) -> Any: ...
    async def fetchval(self, query: str, *args: Any, column: int = 0, timeout: float | None = None) -> Any: ...
    async def prepare(self, query: str, *, name: str | None = None, timeout: float | None = None) -> Prepared: ...
    def get_reset_query(self) -> str: ...
    def is_in_transaction(self) -> bool: ...
    def is_closed(self) -> bool: ...
    def terminate(self) -> None: ...


class Pool(Protocol):
    """An `asyncpg.Pool`."""

    def get_size(self) -> int: ...
    async def acquire(self) -> Connection: ...
    async def release(self, connection: Connection, *, timeout: float | None = None) -> None: ...
    async def close(self) -> None: ...
    def terminate(self) -> None: ...


def errors() -> tuple[type[Exception], ...]:
    """Everything asyncpg raises about a connection or a statement in use."""
    import asyncpg  # pyright: ignore[reportMissingTypeStubs] # loaded with the first pool, not with the plugin

    return (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, ConnectionError)


async def create_pool(
    dsn: str,
    *,
    max_size: int,
    timeout: float,
    statement_cache_size: int,
    server_settings: Mapping[str, str],
    init: Callable[[Any], Awaitable[None]],
) -> Pool:
    """A pool that connects to nothing yet; `init` is called with each new connection."""
    import asyncpg  # pyright: ignore[reportMissingTypeStubs] # see above

    create = cast("Callable[..., Awaitable[Pool]]", asyncpg.create_pool)  # pyright: ignore[reportUnknownMemberType]
    return await create(
        dsn,
        min_size=0,
        max_size=max_size,
        timeout=timeout,
        statement_cache_size=statement_cache_size,
        server_settings=dict(server_settings),
        init=init,
        reset=_already_reset,
    )


async def _already_reset(connection: Any) -> None:
    """Whoever gives a connection back has reset it in the same round trip as the ROLLBACK."""


class Portal:
    """The rows of one query, fetched as they are asked for; the transaction ends it.

    asyncpg's own cursor asks the server twice for the first rows, once to bind and once to execute. Only its private
    names can do both at once, as `fetch` does, and they are used nowhere else.
    """

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor
        self._is_open = False

    @classmethod
    async def prepare(cls, connection: Any, sql: str, arguments: Sequence[Any]) -> "Portal":
        """Prepare the query, or find it prepared; nothing is run yet."""
        prepared = await connection._prepare(sql, use_cache=True)
        return cls(aiter(prepared.cursor(*arguments)))

    @property
    def is_at_end(self) -> bool:
        """Whether the last record is known to have come."""
        return self._cursor._exhausted

    async def fetch(self, count: int) -> list[Any]:
        """Up to `count` more records; fewer only at the end."""
        if self._is_open:
            return await self._cursor._exec(count, None)
        self._is_open = True
        return await self._cursor._bind_exec(count, None)
