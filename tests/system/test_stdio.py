"""`pegboard stdio`: one endpoint over standard input and output, whatever plugins print."""

import json
import signal
import subprocess
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.system.installed import Installed, install
from tests.system.processes import PEGBOARD, Lines, configure, environment, stop
from tests.system.wire import Json, envelope, hello, rpc


class Child:
    """A running `pegboard stdio`, spoken to line by line."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self.process = process
        self.out, self.log = Lines(process.stdout), Lines(process.stderr)

    def send(self, *messages: Json) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"".join(json.dumps(message).encode() + b"\n" for message in messages))
        self.process.stdin.flush()

    def end_input(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()

    def answer(self, request_id: int | str) -> Json:
        """The answer with this id."""
        found = self.out.wait_for(rf'(?m)^(\{{.*"id":{json.dumps(request_id)}[,}}].*)$')
        return json.loads(found[1])

    def ended(self, timeout: float = 10) -> int:
        return self.process.wait(timeout)

    def messages(self) -> list[Json]:
        """Everything on standard output, each line of which has to be a message."""
        return [json.loads(line) for line in self.out.wait_for_end().splitlines()]


@contextmanager
def started(
    folder: Path, *plugins: Installed, arguments: Sequence[str] = (), handshake: bool = True
) -> Generator[Child]:
    """A `pegboard stdio`, which has shaken hands unless told otherwise."""
    process = subprocess.Popen(
        [PEGBOARD, "stdio", "--config", str(configure(folder, plugins)), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        env=environment(plugins),
    )
    child = Child(process)
    try:
        if handshake:
            child.send(rpc("initialize", hello(), 1), rpc("notifications/initialized"))
            assert child.answer(1)["result"]["serverInfo"]["name"].startswith("pegboard")
        yield child
    finally:
        stop(process)
        child.out.wait_for_end()
        child.log.wait_for_end()
        if process.stdin is not None and not process.stdin.closed:
            process.stdin.close()


def asked(tool: str, arguments: Json, request_id: int | str) -> Json:
    return rpc("tools/call", {"name": tool, "arguments": arguments}, request_id)


def text_of(answer: Json) -> str:
    return answer["result"]["content"][0]["text"]


def test_requests_read_before_the_end_of_the_input_are_answered(probe: Installed, tmp_path: Path) -> None:
    with started(tmp_path, probe) as child:
        child.send(*(asked("probe_wait", {"tag": f"late {n}", "seconds": 0.5}, n) for n in range(10, 15)))
        child.end_input()
        assert child.ended() == 0
        answers = {message["id"]: text_of(message) for message in child.messages() if message.get("id", 0) >= 10}
    assert answers == {n: f"late {n}" for n in range(10, 15)}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_the_input_still_open(probe: Installed, tmp_path: Path, number: signal.Signals) -> None:
    with started(tmp_path, probe) as child:
        child.send(asked("probe_wait", {"tag": "late", "seconds": 0.5}, 10))
        child.send(asked("probe_until", {"tag": "late", "state": "started"}, 11))
        child.answer(11)
        began = time.monotonic()
        child.process.send_signal(number)
        assert child.ended() == 0
        assert time.monotonic() - began < 2.5
        assert text_of(child.answer(10)) == "late"
        assert "Traceback" not in child.log.wait_for_end()


@pytest.mark.parametrize("how", ["end of input", "signal"])
def test_an_idle_subscription_does_not_hold_it_up(probe: Installed, tmp_path: Path, how: str) -> None:
    """D-3, where the stream is the whole process."""
    params, _ = envelope("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
    with started(tmp_path, probe, handshake=False) as child:
        child.send(rpc("subscriptions/listen", params, 9))
        child.out.wait_for("acknowledged")
        began = time.monotonic()
        if how == "signal":
            child.process.terminate()
        else:
            child.end_input()
        assert child.ended() == 0
        assert time.monotonic() - began < 2.5
        if how == "signal":
            assert "result" in child.answer(9)


def test_a_second_signal_ends_it_at_once(probe: Installed, tmp_path: Path) -> None:
    with started(tmp_path, probe) as child:
        child.send(asked("probe_hold", {"tag": "endless"}, 10))
        child.send(asked("probe_until", {"tag": "endless", "state": "started"}, 11))
        child.answer(11)
        child.process.send_signal(signal.SIGTERM)
        child.log.wait_for("draining")
        began = time.monotonic()
        child.process.send_signal(signal.SIGTERM)
        assert child.ended() == 128 + signal.SIGTERM
        assert time.monotonic() - began < 1


def test_a_plugin_that_prints_does_not_break_the_wire(probe: Installed, tmp_path: Path) -> None:
    """S-37: at its import, in `hub_plugin()`, in its lifespan and in a call, in every way there is."""
    noisy = install(
        tmp_path / "installed",
        "noisy",
        {
            "noisy": """
            import os, subprocess, sys
            from contextlib import asynccontextmanager
            from pegboard import Plugin, hookimpl, tool

            def shout(what):
                print("print", what, flush=True)
                sys.stdout.write("write\\n")
                sys.__stdout__.write("dunder\\n")
                sys.stdout.flush()
                os.write(1, b"descriptor\\n")
                subprocess.run(["echo", "child"], check=True)

            shout("import")

            @tool(read_only=True)
            def speak() -> str:
                '''Say something.'''
                shout("call")
                return "spoken"

            @hookimpl
            def hub_plugin():
                shout("declare")
                return Plugin(name="noisy", tools=[speak])

            @hookimpl
            @asynccontextmanager
            async def hub_lifespan(hub):
                shout("open")
                yield
                shout("close")
            """
        },
        {"noisy": "noisy"},
    )
    with started(tmp_path, probe, noisy) as child:
        child.send(asked("noisy_speak", {}, 10))  # in a thread; side by side their words would mix
        assert text_of(child.answer(10)) == "spoken"
        child.send(asked("probe_shout", {"text": "loud"}, 11))
        assert text_of(child.answer(11)) == "printed"
        child.end_input()
        assert child.ended() == 0
        assert all(message["jsonrpc"] == "2.0" for message in child.messages())
        log = child.log.wait_for_end()
    for word in (
        "print import",
        "print declare",
        "print open",
        "print call",
        "print close",
        "descriptor",
        "child",
        "loud",
    ):
        assert word in log, word


def test_an_input_that_is_no_json_is_survived(probe: Installed, tmp_path: Path) -> None:
    with started(tmp_path, probe) as child:
        assert child.process.stdin is not None
        child.process.stdin.write(b"hunter2\n{\xff\n[]\n\n")
        child.send(asked("probe_echo", {"payload": "still here"}, 10))
        assert text_of(child.answer(10)) == "still here"
        child.end_input()
        assert child.ended() == 0
        assert "hunter2" not in child.log.wait_for_end()


def test_one_endpoint_can_be_chosen(probe: Installed, tmp_path: Path) -> None:
    with started(tmp_path, probe, arguments=["--endpoint", "probe"]) as child:
        child.send(rpc("tools/list", {}, 10))
        assert {tool["name"].partition("_")[0] for tool in child.answer(10)["result"]["tools"]} == {"probe"}


def test_calls_can_be_cancelled_and_ids_in_flight_are_refused(probe: Installed, tmp_path: Path) -> None:
    with started(tmp_path, probe) as child:
        child.send(
            asked("probe_hold", {"tag": "held"}, 10), asked("probe_until", {"tag": "held", "state": "started"}, 11)
        )
        child.answer(11)
        child.send(asked("probe_echo", {"payload": "second"}, 10))
        assert child.answer(10)["error"]["code"] == -32600
        child.send(rpc("notifications/cancelled", {"requestId": 10}))
        child.send(asked("probe_until", {"tag": "held", "state": "cancelled"}, 12))
        assert text_of(child.answer(12)) == "held"
