"""A writer: lines handed over without waiting, and one thread that writes them to a stream that may be stuck."""

import io
import os
import select
from collections.abc import Generator
from contextlib import contextmanager
from typing import TextIO

import pytest

from pegboard.writer import Fields, Writer


def render(fields: Fields) -> str:
    return f"{fields['text']}\n"


def lost(count: int) -> Fields:
    return {"text": f"{count} lost"}


@contextmanager
def writing(stream: TextIO, most: int = 5000) -> Generator[Writer]:
    writer = Writer(stream, render, lost, most=most)
    try:
        yield writer
    finally:
        writer.close()


@contextmanager
def pipe() -> Generator[tuple[int, TextIO]]:
    """The end to read from, and the other one as a stream that does not wait when it is full, as Node makes them."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with os.fdopen(writing, "w") as stream:
        try:
            yield reading, stream
        finally:
            os.close(reading)


def test_lines_come_in_order() -> None:
    stream = io.StringIO()
    with writing(stream) as writer:
        for number in range(1000):
            writer.put({"text": str(number)})

        assert writer.flush()
        assert stream.getvalue().split() == [str(number) for number in range(1000)]


def test_a_pipe_that_is_full_holds_up_nobody() -> None:
    with pipe() as (reading, stream), writing(stream, most=200) as writer:
        for number in range(5000):
            writer.put({"text": f"{number} {'x' * 1000}"})
        assert not writer.flush(0.01)
        assert writer.lost > 0
        text = b""
        while b" lost\n" not in text:
            text += os.read(reading, 65_536)

    lines = text.decode().splitlines()
    assert lines[0].startswith("0 x")
    assert lines[-1].endswith(" lost")


def test_a_character_that_the_stream_cannot_have_is_written_as_ascii() -> None:
    with pipe() as (reading, stream), writing(stream) as writer:
        writer.put({"text": "half \ud800 a character"})
        assert writer.flush()
        assert os.read(reading, 1000) == b"half \\ud800 a character\n"


def test_what_waits_is_written_at_the_end() -> None:
    stream = io.StringIO()
    writer = Writer(stream, render, lost)
    writer.put({"text": "last words"})

    writer.close()

    writer.put({"text": "too late"})
    assert stream.getvalue() == "last words\n"
    assert writer.lost == 1


@pytest.mark.parametrize("end", ["closed", "gone"])
def test_a_stream_that_takes_nothing_any_more_is_no_crash(end: str) -> None:
    reading, writing_end = os.pipe()
    os.close(reading)
    stream = io.StringIO() if end == "closed" else os.fdopen(writing_end, "w")
    with writing(stream) as writer:
        if end == "closed":
            os.close(writing_end)
            stream.close()
        writer.put({"text": "into the void"})
        assert writer.flush()
        writer.put({"text": "again"})
        assert writer.flush()
    stream.close()


def test_lines_of_several_processes_do_not_mix_in_one_pipe() -> None:
    """What goes into a pipe at once stays whole up to its size; a pipe of packets shows what that was."""
    reading, end = os.pipe2(os.O_DIRECT)
    with os.fdopen(end, "w") as stream, writing(stream) as writer:
        for number in range(100):
            writer.put({"text": f"{number} {'x' * 150}"})
        writer.put({"text": "y" * select.PIPE_BUF})
        assert writer.flush()
        told = [os.read(reading, 65536) for _ in range(6)]
    os.close(reading)

    assert [len(piece) <= select.PIPE_BUF and piece.endswith(b"\n") for piece in told[:-2]] == [True] * 4
    assert b"".join(told) == b"".join(b"%d %s\n" % (number, b"x" * 150) for number in range(100)) + b"y" * 4096 + b"\n"
