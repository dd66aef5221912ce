"""The official driver, imported with the first pool and set up to keep every wait short."""

import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from pegboard_neo4j.target import Target

if TYPE_CHECKING:
    from neo4j import AsyncDriver

SPARE_CONNECTIONS = 2
"""Beyond those lent to calls: to look at the engine, and to stop a query that was left."""
IDLE_CHECK = 30.0
LIFETIME = 1800.0


def errors() -> tuple[type[Exception], ...]:
    """Everything the driver raises on purpose about a connection, a statement or a value."""
    from neo4j.exceptions import DriverError, Neo4jError

    return (Neo4jError, DriverError, OSError)


def connect(target: Target) -> "AsyncDriver":
    """A driver that has connected to nothing yet."""
    from neo4j import AsyncGraphDatabase, basic_auth

    create = cast("Callable[..., AsyncDriver]", AsyncGraphDatabase.driver)  # pyright: ignore[reportUnknownMemberType]
    return create(
        target.url,
        auth=None if target.password is None else basic_auth(target.user, target.password),
        max_connection_pool_size=target.max_connections + SPARE_CONNECTIONS,
        connection_timeout=target.connect_timeout,
        connection_acquisition_timeout=target.connect_timeout + 1,
        connection_write_timeout=target.connect_timeout,
        max_connection_lifetime=LIFETIME,
        liveness_check_timeout=IDLE_CHECK,
        max_transaction_retry_time=0,
        user_agent="pegboard-neo4j",
        telemetry_disabled=True,
    )


@contextmanager
def quiet_notifications() -> Generator[None]:
    """Keep the driver from writing queries into the log with what the server remarks; the client gets the remark."""
    logger = logging.getLogger("neo4j.notifications")

    def drop(_: logging.LogRecord) -> bool:  # one for each pool, so that it can be taken off
        return False

    logger.addFilter(drop)
    try:
        yield
    finally:
        logger.removeFilter(drop)
