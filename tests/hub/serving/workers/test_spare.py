"""A process that waits to be a worker."""

from pathlib import Path

import pytest

from pegboard.serving.workers.assignment import Configuration
from pegboard.serving.workers.spare import Spares


async def test_a_program_that_is_not_there_leaves_nothing_open(tmp_path: Path) -> None:
    async with Spares([str(tmp_path / "nothing")]) as spares:
        with pytest.raises(FileNotFoundError):
            await spares.take()


def test_a_hub_without_a_file_is_configured_by_the_environment_alone() -> None:
    assert Configuration().path is None
    assert Configuration("pegboard.toml", "").path == Path("pegboard.toml")
