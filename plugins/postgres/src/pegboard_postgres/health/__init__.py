"""How well a PostgreSQL server is: what is wrong, and what to do about it."""

from pegboard_postgres.health.tool import health

__all__ = ["health"]
