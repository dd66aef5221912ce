"""Makes a checked filter ready to send: its keys are looked for in the payload, and a wrong one is told apart."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

import anyio

from pegboard import ToolError
from pegboard_qdrant import driver, filters
from pegboard_qdrant.catalogue import Catalogue, Sample
from pegboard_qdrant.driver import Client
from pegboard_qdrant.names import plain_key, unknown
from pegboard_qdrant.shape import Shape

LOOK_SECONDS = 2.0
"""How long a key that no sampled point has is looked for in the others."""


async def ready(
    client: Client, catalogue: Catalogue, shape: Shape, given: Mapping[str, Any] | None, *others: str | None
) -> Any:
    """The filter as the driver takes it, `None` for none; raises `ToolError` for what can only be a mistake.

    `others` are payload keys the request names beside the filter; they have to be there too.
    """
    parsed = filters.parse(given)
    keys = () if parsed is None else parsed.keys
    await _check_keys(client, catalogue, shape, (*keys, *(key for key in others if key)))
    return None if parsed is None else driver.filter_of(parsed.json)


async def _check_keys(client: Client, catalogue: Catalogue, shape: Shape, keys: tuple[str, ...]) -> None:
    """Raise `ToolError` for a payload key that no point has, with the one that was probably meant."""
    wanted = [key for key in keys if key not in shape.indexes]
    if not wanted or shape.points == 0:
        return
    sample = await catalogue.sample(shape.name)
    for key in wanted:
        if not sample.has(key) and not await _has(client, shape, sample, key):
            raise ToolError(unknown(f"collection {shape.name!r} has no payload key", key, _top(sample, key)))


async def _has(client: Client, shape: Shape, sample: Sample, key: str) -> bool:
    """Whether a point beyond the sample has the key; one that takes long to find counts as there."""
    if sample.is_complete:
        return False
    models = driver.models()
    empty = models.IsEmptyCondition(is_empty=models.PayloadField(key=key))
    try:
        with anyio.fail_after(LOOK_SECONDS):
            found, _ = await client.scroll(
                shape.name, scroll_filter=models.Filter(must_not=[empty]), limit=1, with_payload=False
            )
    except (TimeoutError, *driver.errors()):
        return True
    return bool(found)


def _top(sample: Sample, key: str) -> list[str]:
    """The keys to show: those of the first level, and the ones that look like the wrong one."""
    close = get_close_matches(plain_key(key), sample.keys, n=1)
    return sorted({path for path in sample.keys if "." not in path and "[]" not in path} | set(close))
