"""`pegboard audit`: the audit log, its last records or those one looks for."""

import gzip
import json
import os
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.hub.cli.conftest import Run, Start

NOW = datetime.now(UTC)


def line(number: int, **fields: Any) -> str:
    time = (NOW - timedelta(hours=100 - number)).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
    record = {"time": time, "event": "call", "outcome": "ok", "endpoint": "all", "plugin": "tea", "tool": "tea_brew"}
    return json.dumps({**record, "duration_ms": 12.5, "arguments": {"cups": number}, **fields}) + "\n"


@pytest.fixture
def log() -> Path:
    """A log that was rotated twice: one file is packed, one is not."""
    path = Path("audit.jsonl")
    with gzip.open("audit.jsonl.2.gz", "wt") as packed:
        packed.write("".join(map(line, range(10))))
    Path("audit.jsonl.1").write_text("".join(map(line, range(10, 20))))
    path.write_text("".join(map(line, range(20, 30))))
    for age, name in enumerate(["audit.jsonl", "audit.jsonl.1", "audit.jsonl.2.gz"]):
        os.utime(name, (1e9 - age, 1e9 - age))
    return path


def cups(output: str) -> list[int]:
    return [json.loads(line)["arguments"]["cups"] for line in output.splitlines()]


@pytest.mark.parametrize("count", [0, 3, 10, 15, 25, 30, 99])
def test_the_last_records_come_from_rotated_files_too(run: Run, log: Path, count: int) -> None:
    result = run("audit", "tail", "-n", str(count), "--json", "--file", str(log))

    assert cups(result.stdout) == list(range(30))[-count:] if count else result.stdout == ""


def test_the_file_is_that_of_the_configuration(run: Run, log: Path) -> None:
    Path("pegboard.toml").write_text('[audit]\nfile = "audit.jsonl"\n')

    assert cups(run("audit", "tail", "-n1", "--json").stdout) == [29]


def test_people_get_a_line_for_each_record(run: Run) -> None:
    more = {"principal": "peg_ci", "environment": "prod", "session": "abc", "ref": "12ab"}
    Path("log").write_text(
        line(1, arguments={"sql": "x" * 300})
        + line(2, outcome="crash", **more)
        + '{"time": "2026-01-31T12:00:00.000Z", "event": "gap", "lost": 3}\n'
    )

    long, crash, gap = run("audit", "tail", "--file", "log").stdout.splitlines()

    assert "  ok               12 ms  tea_brew  {" in long
    assert long.endswith("x…  endpoint=all")
    assert '  crash            12 ms  tea_brew  {"cups": 2}  principal=peg_ci  environment=prod' in crash
    assert crash.endswith("endpoint=all  session=abc  ref=12ab")
    assert gap.split() == ["2026-01-31", "12:00:00.000", "gap", "lost=3"]


def test_no_record_steers_a_terminal(run: Run) -> None:
    Path("log").write_text(line(1, tool="\x1b[2J", client="a\nb\u2028", arguments={"\x1b": "\x1b[31m"}))

    output = run("audit", "tail", "--file", "log").stdout

    assert output.rstrip("\n").isprintable()
    assert r'"\u001b[2J"' in output


@pytest.mark.parametrize(
    ("conditions", "found"),
    [
        ([], list(range(30))),
        (["tool=tea_*", "arguments.cups=7"], [7]),
        (["arguments.cups=1?"], list(range(10, 20))),
        (["outcome!=ok"], []),
        (["principal="], list(range(30))),
        (["plugin!=tea"], []),
        (["arguments.cups.deeper=1"], []),
        (["--since", "80m10s"], None),
        (["--since", "4470m"], [26, 27, 28, 29]),
        (["--since", "2w", "arguments.cups=0"], [0]),
        (["--since", (NOW - timedelta(hours=72, minutes=30)).isoformat()], [28, 29]),
    ],
)
def test_records_are_found_by_their_fields_and_time(
    run: Run, log: Path, conditions: list[str], found: list[int] | None
) -> None:
    result = run("audit", "grep", *conditions, "--json", "--file", str(log))

    if found is None:
        assert (result.exit_code, "is no time; write 30m" in result.stderr) == (2, True)
    else:
        assert cups(result.stdout) == found


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["grep", "tol=x"], "'tol' is no field of a record; did you mean 'tool'?"),
        (["grep", "xyzzy=x"], "'xyzzy' is no field of a record; there are time, event"),
        (["grep", "tea"], "'tea' is no condition; write KEY=VALUE"),
        (["tail", "--file", "nothing"], "nothing: there is no such file"),
        (["tail", "-n", "-1"], "-1 is not in the range"),
    ],
)
def test_what_cannot_be_shown_is_answered_with_the_remedy(
    run: Run, log: Path, arguments: list[str], problem: str
) -> None:
    result = run("audit", *arguments, *(["--file", str(log)] if "--file" not in arguments else []))

    assert result.exit_code == 2
    assert problem in result.stderr


def test_without_a_log_the_lines_to_write_are_shown(run: Run) -> None:
    result = run("audit", "tail")

    assert result.exit_code == 2
    assert 'write `[audit]` and `file = "audit.jsonl"`' in result.stderr


def test_the_commands_are_shown_to_who_names_none(run: Run) -> None:
    result = run("audit")

    assert result.exit_code == 0
    assert "tail" in result.stdout
    assert "grep" in result.stdout


def test_what_is_no_record_is_left_out(run: Run) -> None:
    Path("log").write_text("no json\n[1]\n\n" + line(1) + line(2)[:-10])

    assert cups(run("audit", "tail", "--json", "--file", "log").stdout) == [1]


def test_a_log_is_followed_through_rotations_until_ctrl_c(start: Start, log: Path) -> None:
    with start("audit", "tail", "-n", "12", "-f", "--json", "--file", str(log)) as running:

        def next_cups() -> int:
            return running.ready()["arguments"]["cups"]

        assert [next_cups() for _ in range(12)] == list(range(18, 30))
        with log.open("a") as file:
            file.write(line(30) + line(31)[:20])
            file.flush()
            assert next_cups() == 30
            file.write(line(31)[20:])
        assert next_cups() == 31
        log.rename("audit.jsonl.3")
        log.write_text(line(32))
        assert next_cups() == 32
        os.truncate(log, 0)
        log.write_text("{}\n")
        assert running.ready() == {}

        status, _, errors = running.ended(signal=signal.SIGINT)

    assert (status, errors) == (130, "")


def test_a_log_that_is_not_there_yet_can_be_followed(start: Start) -> None:
    with start("audit", "tail", "-f", "--json", "--file", "later") as running:
        Path("later").write_text(line(1))

        assert running.ready()["arguments"] == {"cups": 1}
