"""Together: `/health`, `/ready` and `/metrics` say how all workers are, whichever is asked."""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import anyio
import anyio.to_thread
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from pegboard.serving.workers.assignment import Assignment
from pegboard.serving.workers.handover import Handover, nothing_more

DEADLINE = 2.0
"""Seconds the other workers have to answer; one that has not is shown as one that does not."""

Answers = Mapping[str, dict[str, Any] | None]


@dataclass(slots=True)
class Answer:
    """What one worker answers."""

    status: int = 0
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""
    is_whole: bool = False

    @property
    def is_page(self) -> bool:
        """Whether it says how the worker is: not half of that, nor that the worker has just ended."""
        return self.is_whole and self.status in (200, 503)

    async def send(self, message: Message) -> None:
        """Take in a message of the answer."""
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], tuple(message["headers"])
        else:
            self.body += message.get("body", b"")
            self.is_whole = not message.get("more_body")


class Together:
    """Stands before everything a worker serves, and asks the others where a page is about all of them."""

    def __init__(self, assignment: Assignment, handover: Handover) -> None:
        self._assignment = assignment
        self._handover = handover
        self._pages = {"/health": _health, "/ready": _ready}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_page = scope["type"] == "http" and scope["method"] == "GET"
        if is_page and scope["path"] in self._pages:
            await self._page(scope, send)
        elif is_page and scope["path"] == "/metrics":
            await self._metrics(scope, send)
        else:
            await self._handover(scope, receive, send)

    async def _page(self, scope: Scope, send: Send) -> None:
        own = await self._own(scope)
        if not own.is_page:
            await _told(own, own.body, send)
            return
        others = await self._others(scope)
        answers = {name: json.loads(one.body) if one.is_page else None for name, one in others.items()}
        said = json.loads(own.body)
        answers[self._assignment.name] = said
        status, page = self._pages[scope["path"]](said, dict(sorted(answers.items())))
        own.status = status
        await _told(own, json.dumps(page).encode(), send)

    async def _metrics(self, scope: Scope, send: Send) -> None:
        accept = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"accept"), "")
        plain = {**scope, "headers": [header for header in scope["headers"] if header[0] != b"accept"]}
        own = await self._own(plain)
        if own.status != 200:
            await _told(own, own.body, send)
            return
        answers = {self._assignment.name: own, **await self._others(plain)}
        texts = {name: answer.body.decode() for name, answer in sorted(answers.items()) if answer.status == 200}
        text, kind = await anyio.to_thread.run_sync(_joined, texts, accept)
        await Response(text, media_type=kind)(scope, nothing_more(), send)

    async def _own(self, scope: Scope) -> Answer:
        answer = Answer()
        await self._handover.own(scope, nothing_more(), answer.send)
        return answer

    async def _others(self, scope: Scope) -> dict[str, Answer]:
        """What the others answer, as far as they do in time."""
        answers = {name: Answer() for name in self._assignment.others}

        async def ask(name: str, answer: Answer) -> None:
            try:
                await self._handover.ask(name, scope, answer.send)
            except OSError:
                return

        with anyio.move_on_after(DEADLINE):
            async with anyio.create_task_group() as tasks:
                for name, answer in answers.items():
                    tasks.start_soon(ask, name, answer)
        return answers


def _health(own: dict[str, Any], answers: Answers) -> tuple[int, dict[str, Any]]:
    """The hub is as well as the worst of its workers, and has reloaded when all have. Its process is the supervisor."""
    there = [answer for answer in answers.values() if answer is not None]
    configurations = [one["configuration"] for one in there]
    alike = len({one["generation"] for one in configurations}) == 1
    well = alike and len(there) == len(answers) and all(one["status"] == "ok" for one in there)
    configuration = {key: min(one[key] for one in configurations) for key in ("generation", "attempts")}
    if "problem" in own["configuration"]:
        configuration["problem"] = next((one["problem"] for one in configurations if one.get("problem")), None)
    workers = {name: one and _of_worker(one) for name, one in answers.items()}
    changed = {"status": "ok" if well else "degraded", "pid": os.getppid(), "configuration": configuration}
    return 200, {**own, **changed, "workers": workers}


def _of_worker(answer: dict[str, Any]) -> dict[str, Any]:
    return {"status": answer["status"], "pid": answer["pid"], "generation": answer["configuration"]["generation"]}


def _ready(own: dict[str, Any], answers: Answers) -> tuple[int, dict[str, Any]]:
    """Clients should be sent here when every worker would have them."""
    workers = {name: answer is not None and answer["ready"] for name, answer in answers.items()}
    page: dict[str, Any] = {**own, "ready": all(workers.values()), "workers": workers}
    if "reasons" in own:
        there = [answer for answer in answers.values() if answer is not None]
        gone = [f"worker {name} does not answer" for name, answer in answers.items() if answer is None]
        page["reasons"] = [*_lines(there, "reasons"), *gone]
        page["degraded"] = _lines(there, "degraded")
    return 200 if page["ready"] else 503, page


def _lines(answers: Iterable[dict[str, Any]], key: str) -> list[str]:
    """What any of them says, once."""
    return list(dict.fromkeys(line for answer in answers for line in answer[key]))


def _joined(texts: Mapping[str, str], accept: str) -> tuple[bytes, str]:
    from pegboard.prometheus import joined  # paid for only where somebody scrapes, 0.1 s

    return joined(texts, accept)


async def _told(answer: Answer, body: bytes, send: Send) -> None:
    """Send the worker's own answer, with another body."""
    headers = [header for header in answer.headers if header[0] != b"content-length"]
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
