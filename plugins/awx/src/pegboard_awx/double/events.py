"""Events: the story of a run, event by event, with what each of them adds to the output."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from pegboard_awx.double.kinds import Row
from pegboard_awx.double.playbooks import Outcome, Playbook, Task

DISPLAYS = {
    "playbook_on_start": "Playbook Started",
    "playbook_on_stats": "Playbook Complete",
    "runner_on_start": "Host Started",
    "runner_on_ok": "Host OK",
    "runner_on_failed": "Host Failed",
    "runner_on_skipped": "Host Skipped",
    "runner_on_unreachable": "Host Unreachable",
    "runner_item_on_ok": "Item OK",
}
EVENTS: Mapping[Outcome, str] = {
    "ok": "runner_on_ok",
    "changed": "runner_on_ok",
    "skipped": "runner_on_skipped",
    "failed": "runner_on_failed",
    "ignored": "runner_on_failed",
    "unreachable": "runner_on_unreachable",
}
COLORS = {
    "ok": "0;32",
    "changed": "0;33",
    "skipped": "0;36",
    "failed": "0;31",
    "ignored": "0;31",
    "unreachable": "1;31",
}
COUNTED = {"failed": "failures", "unreachable": "dark"}
ITEM_LENGTH = 3000
WIDTH = 79


@dataclass
class Story:
    """What became of each host in a run, and the events that tell it; those are written when somebody reads them."""

    job: Row
    book: Playbook
    hosts: Sequence[Row]
    started: datetime
    counts: dict[str, Counter[str]] = field(default_factory=dict[str, Counter[str]])

    @cached_property
    def events(self) -> list[Row]:
        """All events, spread over the time of the run."""
        steps = list(_steps(self))
        pace = timedelta(seconds=self.book.seconds / (len(steps) + 1))
        writer = _Writer(self)
        for index, step in enumerate(steps, 1):
            writer.write(step, self.started + pace * index)
        return writer.events

    @property
    def failed(self) -> bool:
        """Whether the run fails: a host failed or could not be reached, or there was none."""
        return any(count["failures"] or count["dark"] for count in self.counts.values())


def tell(job: Row, book: Playbook, hosts: Sequence[Row], started: datetime) -> Story:
    """The story of a run that starts at a moment and takes the time of its playbook."""
    story = Story(job, book, hosts, started)
    alive = list(hosts)
    story.counts = {host["name"]: Counter() for host in alive}
    for task in book.tasks:
        for host in list(alive):
            outcome, _ = task.happens(host["name"])
            _count(story.counts[host["name"]], outcome)
            if outcome in ("failed", "unreachable"):
                alive.remove(host)
    return story


def paint(text: str, outcome: str) -> str:
    """A line in the color of an outcome."""
    return f"\x1b[{COLORS[outcome]}m{text}\x1b[0m"


def _steps(story: Story) -> Iterator[dict[str, Any]]:
    """The events without what is the same for all; goes through the tasks with the hosts that are left."""
    book = story.book
    yield {"event": "playbook_on_start", "level": 0}
    yield {"event": "playbook_on_play_start", "level": 1, "stdout": _title("PLAY", book.play), "name": book.play}
    alive = list(story.hosts)
    for number, task in enumerate(book.tasks, 1):
        title = f"{task.role} : {task.name}" if task.role else task.name
        yield {
            "event": "playbook_on_task_start",
            "level": 2,
            "task": task,
            "number": number,
            "stdout": _title("TASK", title),
        }
        for host in alive:
            yield {"event": "runner_on_start", "level": 3, "task": task, "number": number, "host": host}
        for host in list(alive):
            outcome, message = task.happens(host["name"])
            yield from _items(task, number, host)
            yield _result(task, number, host, outcome, message)
            if outcome in ("failed", "unreachable"):
                alive.remove(host)
    yield {"event": "playbook_on_stats", "level": 1, "stdout": _recap(story)}


def _items(task: Task, number: int, host: Row) -> Iterator[dict[str, Any]]:
    for item in range(task.items):
        text = json.dumps({"msg": f"{item:04} ".ljust(ITEM_LENGTH, "x")}, indent=4)
        shown = "\r\n".join(
            paint(line, "ok") for line in f"ok: [{host['name']}] => (item={item}) => {text}".split("\n")
        )
        result = {"msg": f"{item:04} ".ljust(ITEM_LENGTH, "x"), "changed": False, "item": item}
        yield {
            "event": "runner_item_on_ok",
            "level": 3,
            "task": task,
            "number": number,
            "host": host,
            "stdout": shown,
            "res": result,
        }


def _result(task: Task, number: int, host: Row, outcome: Outcome, message: str) -> dict[str, Any]:
    result = _res(task, host["name"], outcome, message)
    return {
        "event": EVENTS[outcome],
        "level": 3,
        "task": task,
        "number": number,
        "host": host,
        "failed": outcome in ("failed", "unreachable"),
        "changed": outcome == "changed",
        "res": result,
        "ignored": outcome == "ignored",
        "stdout": _line(host["name"], outcome, result),
    }


def _res(task: Task, host: str, outcome: Outcome, message: str) -> dict[str, Any]:
    if outcome == "skipped":
        return {}
    if outcome == "unreachable":
        return {"unreachable": True, "msg": message, "changed": False}
    told = {key: value.format(host=host) if isinstance(value, str) else value for key, value in task.result.items()}
    base: dict[str, Any] = {**told, "changed": outcome == "changed", "_ansible_no_log": False}
    if outcome in ("failed", "ignored"):
        base |= {"msg": message}
        if task.rc is not None:
            base |= {"rc": task.rc, "stdout": "", "stderr": message, "stderr_lines": [message], "stdout_lines": []}
    return base


def _line(host: str, outcome: Outcome, result: Mapping[str, Any]) -> str:
    told = {key: value for key, value in sorted(result.items()) if not key.startswith("_")}
    if outcome == "skipped":
        return paint(f"skipping: [{host}]", outcome)
    if outcome == "unreachable":
        return paint(f"fatal: [{host}]: UNREACHABLE! => {json.dumps(told)}", outcome)
    if outcome in ("failed", "ignored"):
        line = paint(f"fatal: [{host}]: FAILED! => {json.dumps(told)}", outcome)
        return line if outcome == "failed" else f"{line}\r\n{paint('...ignoring', 'skipped')}"
    if "msg" in told:
        lines = [f"{outcome}: [{host}] => {{", f'    "msg": {json.dumps(told["msg"])}', "}"]
        return "\r\n".join(paint(one, outcome) for one in lines)
    return paint(f"{outcome}: [{host}]", outcome)


def _count(counts: Counter[str], outcome: Outcome) -> None:
    counts[COUNTED.get(outcome, outcome)] += 1
    if outcome in ("changed", "ignored"):
        counts["ok"] += 1
    counts["processed"] = 1


def _title(word: str, text: str) -> str:
    head = f"{word} [{text}] "
    return f"\r\n{head.ljust(WIDTH, '*')}{'' if len(head) < WIDTH else '*'}"


def _recap(story: Story) -> str:
    lines = ["", "PLAY RECAP ".ljust(WIDTH, "*")]
    words = (
        ("ok", "ok"),
        ("changed", "changed"),
        ("unreachable", "dark"),
        ("failed", "failures"),
        ("skipped", "skipped"),
        ("rescued", "rescued"),
        ("ignored", "ignored"),
    )
    for host, counts in sorted(story.counts.items()):
        worst = "failed" if counts["failures"] or counts["dark"] else "changed" if counts["changed"] else "ok"
        numbers = [f"{word}={counts[key]}".ljust(len(word) + 5) for word, key in words]
        lines.append(f"{paint(host, worst)}{' ' * max(1, 27 - len(host))}: {' '.join(numbers)}")
    return "\r\n".join(lines)


@dataclass(slots=True)
class _Writer:
    """Makes events out of steps, counting events and lines."""

    story: Story
    events: list[Row] = field(default_factory=list[Row])
    line: int = 0

    def write(self, step: Mapping[str, Any], at: datetime) -> None:
        """Write one event."""
        job, task, host = self.story.job, step.get("task"), step.get("host")
        stdout, counter, owner = step.get("stdout", ""), len(self.events) + 1, OWNERS[self.story.job["_collection"]]
        lines = stdout.count("\r\n") + 1 if stdout else 0
        self.events.append(
            {
                "id": job["id"] * 100_000 + counter,
                "_collection": EVENT_COLLECTIONS.get(owner, "project_update_events"),
                "_at": at,
                "created": at,
                "modified": at,
                owner: job["id"],
                "event": step["event"],
                "counter": counter,
                "event_display": _display(step, self.story.book, task),
                "event_data": _data(self.story, step, at, counter),
                "event_level": step["level"],
                "failed": step.get("failed", False),
                "changed": step.get("changed", False),
                "uuid": _uuid(job, f"{counter:06}"),
                "parent_uuid": _parent(self.story, step),
                "host": None if host is None else host.get("id"),
                "host_name": "" if host is None else host["name"],
                "playbook": self.story.book.file,
                "play": self.story.book.play if step["level"] else "",
                "task": "" if task is None else task.name,
                "role": "" if task is None else task.role,
                "stdout": stdout,
                "start_line": self.line,
                "end_line": self.line + lines,
                "verbosity": 0,
            }
        )
        self.line += lines


EVENT_COLLECTIONS = {"job": "job_events", "ad_hoc_command": "ad_hoc_command_events"}
OWNERS = {
    "jobs": "job",
    "project_updates": "project_update",
    "ad_hoc_commands": "ad_hoc_command",
    "inventory_updates": "inventory_update",
    "system_jobs": "system_job",
}


def _display(step: Mapping[str, Any], book: Playbook, task: Task | None) -> str:
    if step["event"] == "playbook_on_play_start":
        return f"Play Started ({book.play})"
    if step["event"] == "playbook_on_task_start" and task is not None:
        return f"Task Started ({task.name})"
    return DISPLAYS.get(step["event"], step["event"])


def _data(story: Story, step: Mapping[str, Any], at: datetime, counter: int) -> dict[str, Any]:
    job, book, task, host = story.job, story.book, step.get("task"), step.get("host")
    data: dict[str, Any] = {"playbook": book.file, "playbook_uuid": _uuid(job, "book")}
    if step["level"]:
        data |= {"play": book.play, "play_uuid": _uuid(job, "play"), "play_pattern": "all"}
    if task is not None:
        data |= {
            "task": task.name,
            "task_uuid": _uuid(job, f"task{step['number']}"),
            "task_action": task.module,
            "resolved_action": task.module,
            "task_args": "",
            "task_path": f"/runner/project/{book.file}:{step['number'] * 4 + 2}",
            **({"role": task.role} if task.role else {}),
        }
    if host is not None:
        data |= {"host": host["name"], "remote_addr": host["name"]}
    if "res" in step:
        data |= {"res": step["res"], "start": at.isoformat(), "end": at.isoformat(), "duration": 0.05}
        data |= {"ignore_errors": step.get("ignored") or None, "event_loop": None}
    if step["event"] == "playbook_on_stats":
        data |= _stats(story)
    return data | {"uuid": _uuid(job, f"{counter:06}"), "guid": _uuid(job, "guid")}


def _stats(story: Story) -> dict[str, Any]:
    names = ("changed", "dark", "failures", "ignored", "ok", "processed", "rescued", "skipped")
    stats = {name: {host: one[name] for host, one in story.counts.items() if one[name]} for name in names}
    return {**stats, "artifact_data": dict(story.book.artifacts)}


def _parent(story: Story, step: Mapping[str, Any]) -> str:
    if step["level"] == 0:
        return ""
    if step["level"] == 1:
        return _uuid(story.job, "book")
    return _uuid(story.job, "play" if step["level"] == 2 else f"task{step['number']}")


def _uuid(job: Row, what: str) -> str:
    return f"02fc0000-{job['id']:04x}-4000-8000-{what.encode().hex():0>12}"
