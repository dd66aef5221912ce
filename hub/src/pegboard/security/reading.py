"""Reading the audit: its records from the file and from those that were rotated away, packed ones too."""

import gzip
import json
import os
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

Record = dict[str, Any]

POLL = 0.2
"""Seconds between two looks at a file that is followed."""


def files_of(path: Path) -> list[Path]:
    """The file and those a rotation has made of it (`audit.jsonl.1`, `audit.jsonl-20260131.gz`), the oldest first."""
    rotated = [file for file in path.parent.glob(f"{path.name}[.-]*") if file.is_file()]
    return [*sorted(rotated, key=lambda file: file.stat().st_mtime), *([path] if path.is_file() else [])]


def records(path: Path) -> Iterator[Record]:
    """Every record there is, the oldest first."""
    for file in files_of(path):
        yield from _records_of(file)


def last_records(path: Path, count: int) -> list[Record]:
    """The last records; older files are opened only when the newer ones have too few."""
    return _last(files_of(path), count)


def follow(path: Path, last: int = 0) -> Iterator[Record]:
    """The last records and every one that is written from now on, through rotations, until nobody asks for more."""
    stream = _opened(path)
    found = deque(_whole_lines(stream) if stream is not None else (), last)
    yield from _last([file for file in files_of(path) if file != path], last - len(found))
    yield from found
    while True:
        is_old = stream is None or _is_elsewhere(path, stream)  # asked first: what it has by now is all it will have
        if stream is not None:
            yield from _whole_lines(stream)
        if is_old:
            stream = _reopened(path, stream)
        else:
            time.sleep(POLL)


def _last(files: list[Path], count: int) -> list[Record]:
    found: deque[Record] = deque()
    for file in reversed(files):
        if len(found) >= count:
            break
        found.extendleft(reversed(deque(_records_of(file), count - len(found))))
    return list(found)


def _opened(path: Path) -> IO[bytes] | None:
    try:
        return path.open("rb")
    except FileNotFoundError:
        return None


def _reopened(path: Path, stream: IO[bytes] | None) -> IO[bytes] | None:
    if stream is not None:
        stream.close()
    else:
        time.sleep(POLL)
    return _opened(path)


def _is_elsewhere(path: Path, stream: IO[bytes]) -> bool:
    """Whether another file is at the path by now, or this one was cut to nothing."""
    here = os.fstat(stream.fileno())
    there = path.stat() if path.exists() else here
    return (here.st_dev, here.st_ino) != (there.st_dev, there.st_ino) or here.st_size < stream.tell()


def _whole_lines(stream: IO[bytes]) -> Iterator[Record]:
    """The records to the end of the stream; half a line is left for the next time."""
    while True:
        start, line = stream.tell(), stream.readline()
        if not line.endswith(b"\n"):
            stream.seek(start)
            return
        yield from _parsed(line)


def _records_of(file: Path) -> Iterator[Record]:
    with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as stream:
        for line in stream:
            yield from _parsed(line)


def _parsed(line: bytes) -> Iterator[Record]:
    """The record of a line, if it is one: the last of a file may be torn, or be written at this moment."""
    try:
        found = json.loads(line)
    except ValueError:
        return
    if isinstance(found, dict):
        yield cast(Record, found)
