"""The double as a program of its own, driven over HTTP."""

import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import httpx
from tests.plugins.awx.conftest import reaching


@contextmanager
def program(*arguments: str) -> Generator[str]:
    """The URL of a double in a child process, which is gone after the block."""
    command: Sequence[str] = [sys.executable, "-m", "pegboard_awx.double", "--port", "0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()
            process.wait(10)


async def control(url: str, action: str, given: Mapping[str, Any] | None = None) -> Any:
    async with httpx.AsyncClient() as client:
        response = await client.post(f"{url}/_double/{action}", json=given or {})
        return response.raise_for_status().json()


async def test_a_double_in_another_process_is_driven_over_http() -> None:
    with program("--speed", "0") as url:
        async with reaching(url) as api:
            hello = await api.first("job_templates", params={"name": "Hello"})
            assert hello is not None
            await control(url, "faults", {"kind": "status", "method": "GET", "path": "jobs/*", "retry_after": 0})
            job = await api.post("job_templates", hello["id"], "launch")
            await control(url, "advance", {"seconds": 10})
            done = await api.get("jobs", job["id"])
            requests = await control(url, "requests")

    assert done["status"] == "successful"
    assert [one["method"] for one in requests].count("POST") == 1
    assert [one["path"] for one in requests].count(f"/api/v2/jobs/{job['id']}/") == 2


async def test_a_double_may_be_a_platform_below_a_path() -> None:
    with program("--platform", "--root", "/aap") as url:
        async with reaching(url) as api:
            place = await api.place()

    assert url.endswith("/aap")
    assert (place.prefix, place.platform) == ("/api/controller/v2/", "aap")
