"""The 58 tools every server of the bench offers: `echo`, which is called, and 57 that only have to be listed."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Literal

from pydantic import Field

Function = Callable[..., Awaitable[str]]

NOUNS = [
    "alert", "backup", "branch", "bucket", "build", "certificate", "cluster", "credential", "dashboard", "database",
    "deployment", "host", "incident", "inventory", "pipeline", "project", "release", "schedule", "workflow",
]  # fmt: skip


async def echo(
    text: Annotated[str, Field(description="What to say.")],
    times: Annotated[int, Field(description="How often to say it.", ge=1, le=100)] = 1,
) -> str:
    """Say a text, once or several times."""
    return " ".join([text] * times)


def search(noun: str) -> Function:
    """A tool of realistic size that looks for things: six parameters, three sentences."""

    async def search(
        query: Annotated[str, Field(description=f"Words in the name or description of the {noun}.")],
        owner: Annotated[str | None, Field(description=f"Only {noun}s of this user or team.")] = None,
        state: Annotated[
            Literal["any", "active", "failed", "archived"], Field(description=f"Only {noun}s in this state.")
        ] = "any",
        changed_after: Annotated[str | None, Field(description="An ISO 8601 time; older changes are left out.")] = None,
        limit: Annotated[int, Field(description="At most so many rows.", ge=1, le=200)] = 25,
        cursor: Annotated[str | None, Field(description="Where the last page stopped.")] = None,
    ) -> str:
        return f"{noun} {query} {owner} {state} {changed_after} {limit} {cursor}"

    doc = (
        f"Find {noun}s by name, owner or state, the latest change first.\n\n"
        f"Returns name, id, state and owner of each; get_{noun} tells the rest. Pass `cursor` to go on."
    )
    return named(search, f"search_{noun}", doc)


def get(noun: str) -> Function:
    """A tool of realistic size that reads one thing: three parameters, one sentence."""

    async def get(
        id: Annotated[int | str, Field(description=f"The number or the exact name of the {noun}.")],  # noqa: A002 # as tools call it
        fields: Annotated[list[str] | None, Field(description="Only these fields; all when left out.")] = None,
        with_history: Annotated[bool, Field(description="Add the last ten changes and who made them.")] = False,
    ) -> str:
        return f"{noun} {id} {fields} {with_history}"

    return named(get, f"get_{noun}", f"Tell everything about one {noun}: settings, state, owner and latest activity.")


def update(noun: str) -> Function:
    """A tool of realistic size that writes: five parameters, two sentences."""

    async def update(
        id: Annotated[int, Field(description=f"The number of the {noun}, as search_{noun} gives it.")],  # noqa: A002 # as tools call it
        name: Annotated[str | None, Field(description="The new name, unique in its project.", max_length=120)] = None,
        variables: Annotated[dict[str, str] | None, Field(description="Values to set; others stay.")] = None,
        labels: Annotated[list[str] | None, Field(description="Replaces all labels.")] = None,
        dry_run: Annotated[bool, Field(description="Say what would change and change nothing.")] = True,
    ) -> str:
        return f"{noun} {id} {name} {variables} {labels} {dry_run}"

    doc = f"Change the name, variables or labels of a {noun}.\n\nWhat is left out stays as it is; try it dry first."
    return named(update, f"update_{noun}", doc)


def named(function: Function, name: str, doc: str) -> Function:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


TOOLS: list[Function] = [echo, *(make(noun) for noun in NOUNS for make in (search, get, update))]


def tools(number: int) -> list[Function]:
    """So many tools: the 58, then the same for more and more nouns, `backup_2` and so on."""
    functions = list(TOOLS)
    for generation in range(2, number):
        functions += [make(f"{noun}_{generation}") for noun in NOUNS for make in (search, get, update)]
        if len(functions) >= number:
            break
    return functions[:number]
