"""Names and texts as they stand in Cypher."""

from pegboard import ToolError


def quoted(name: str) -> str:
    """A label, type, property or variable in backticks.

    Raises `ToolError` for a name that cannot be written so in every version: Neo4j 5 decodes \\\\u0060 in it.
    """
    if not name or "\\" in name or "\0" in name:
        raise ToolError(f"the name {name!r} cannot be used here: it is empty, or has a backslash or NUL in it")
    return "`" + name.replace("`", "``") + "`"
