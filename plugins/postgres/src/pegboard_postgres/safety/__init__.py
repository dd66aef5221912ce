"""Reads that only read: the layers between SQL that somebody else wrote and a database.

A plugin that runs a caller's SQL on a pool of kind `POSTGRES` gets them in three lines:

    statement = check(sql)
    async with database.read(timeout=call.remaining) as connection:
        await check_functions(connection, statement, cache=database.functions)

`docs/safety.md` says what each layer guarantees.
"""

from pegboard_postgres.safety.cost import check_cost
from pegboard_postgres.safety.functions import FunctionCache, check_functions
from pegboard_postgres.safety.gate import check, check_change
from pegboard_postgres.safety.role import Role, role_of
from pegboard_postgres.safety.statement import Parameter, Statement

__all__ = [
    "FunctionCache",
    "Parameter",
    "Role",
    "Statement",
    "check",
    "check_change",
    "check_cost",
    "check_functions",
    "role_of",
]
