"""A file of JSON lines that only grows, while others may rotate it."""

import errno
import json
import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pegboard.security.jsonlines import JsonLines


def lines_of(*numbers: int) -> deque[bytes]:
    return deque(b'{"n": %d}\n' % number for number in numbers)


def numbers_in(*files: Path) -> list[int]:
    """The numbers in the files, in the order of the lines; every line must be whole."""
    return [json.loads(line)["n"] for file in files for line in file.read_text().splitlines()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


@pytest.fixture
def file(path: Path) -> Generator[JsonLines]:
    file = JsonLines(path)
    yield file
    file.close()


def test_the_file_is_made_for_its_owner_only(file: JsonLines, path: Path) -> None:
    file.append(lines_of(1))

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_lines_follow_those_of_an_earlier_process(file: JsonLines, path: Path) -> None:
    path.write_text('{"n": 1}\n')

    file.append(lines_of(2, 3))

    assert numbers_in(path) == [1, 2, 3]


def test_a_renamed_file_is_followed_by_a_new_one(file: JsonLines, path: Path) -> None:
    file.append(lines_of(1))
    rotated = path.rename(path.with_suffix(".jsonl.1"))
    file.append(lines_of(2))

    assert (numbers_in(rotated), numbers_in(path)) == ([1], [2])


def test_a_file_that_the_rotation_has_made_anew_is_taken(file: JsonLines, path: Path) -> None:
    file.append(lines_of(1))
    path.rename(path.with_suffix(".jsonl.1"))
    path.touch(mode=0o640)
    file.append(lines_of(2))

    assert numbers_in(path) == [2]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_file_that_was_copied_and_cut_goes_on_from_its_beginning(file: JsonLines, path: Path) -> None:
    file.append(lines_of(1, 2))
    copy = Path(shutil.copyfile(path, path.with_suffix(".jsonl.1")))
    os.truncate(path, 0)
    file.append(lines_of(3))

    assert (numbers_in(copy), numbers_in(path)) == ([1, 2], [3])


def test_what_came_between_the_copy_and_the_cut_is_written_again(file: JsonLines, path: Path) -> None:
    file.append(lines_of(1, 2))
    copy = Path(shutil.copyfile(path, path.with_suffix(".jsonl.1")))
    file.append(lines_of(3, 4))
    os.truncate(path, 0)
    file.append(lines_of(5))
    file.append(lines_of(6))

    assert sorted(numbers_in(copy, path)) == [1, 2, 3, 4, 5, 6]


def test_a_cut_in_the_midst_of_an_append_loses_nothing(
    file: JsonLines, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cut comes after the look at the file's size and before the write, where no look can see it."""
    write, copy = os.write, path.with_suffix(".jsonl.1")

    def cut_and_write(number: int, data: memoryview) -> int:
        monkeypatch.undo()
        os.truncate(path, 0)
        return write(number, data)

    file.append(lines_of(1, 2))
    shutil.copyfile(path, copy)
    file.append(lines_of(3))
    monkeypatch.setattr(os, "write", cut_and_write)
    file.append(lines_of(4))
    file.append(lines_of(5))

    assert sorted(numbers_in(copy, path)) == [1, 2, 3, 4, 5]


def test_a_file_that_was_emptied_on_purpose_stays_empty(file: JsonLines, path: Path) -> None:
    path.with_suffix(".jsonl.1").write_text('{"n": 0}\n')
    file.append(lines_of(1, 2))
    os.truncate(path, 0)
    file.append(lines_of(3))

    assert numbers_in(path) == [3]


def test_a_file_that_was_emptied_without_a_copy_stays_empty(file: JsonLines, path: Path) -> None:
    file.append(lines_of(1, 2))
    os.truncate(path, 0)
    file.append(lines_of(3))

    assert numbers_in(path) == [3]


def test_only_the_last_lines_are_remembered_for_a_cut(file: JsonLines, path: Path) -> None:
    file.append(lines_of(*range(100_000, 200_000)))
    copy = Path(shutil.copyfile(path, path.with_suffix(".jsonl.1")))
    file.append(lines_of(1))
    os.truncate(path, 0)
    file.append(lines_of(2))

    assert (len(numbers_in(copy)), numbers_in(path)) == (100_000, [1, 2])


def test_a_torn_last_line_is_replaced_by_a_record_of_it(file: JsonLines, path: Path) -> None:
    path.write_bytes(b'{"n": 1}\n{"n": 2, "tex\xff')

    file.append(lines_of(3))

    first, torn, last = map(json.loads, path.read_text().splitlines())
    assert (first, last) == ({"n": 1}, {"n": 3})
    assert torn == {"event": "torn", "bytes": 14, "text": '{"n": 2, "tex\ufffd'}


def test_a_whole_last_line_only_gets_its_end(file: JsonLines, path: Path) -> None:
    path.write_text('{"n": 1}')

    file.append(lines_of(2))

    assert numbers_in(path) == [1, 2]


def test_a_killed_writer_leaves_whole_lines_for_the_next(file: JsonLines, path: Path) -> None:
    source = """
        from collections import deque
        from itertools import count
        from pathlib import Path
        import sys
        from pegboard.security.jsonlines import JsonLines
        file = JsonLines(Path(sys.argv[1]))
        for start in count(step=1000):
            file.append(deque(b'{"n": %d, "x": "%s"}\\n' % (n, b"x" * 200) for n in range(start, start + 1000)))
            print(start, flush=True)
    """
    source = "\n".join(line.removeprefix("        ") for line in source.splitlines())
    with subprocess.Popen([sys.executable, "-c", source, str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        while process.stdout.readline() != b"5000\n":
            pass
        process.send_signal(signal.SIGKILL)

    file.append(lines_of(-1))

    records = [json.loads(line) for line in path.read_text().splitlines()]
    numbers = [record["n"] for record in records if "n" in record]
    assert numbers == [*range(len(numbers) - 1), -1]


@contextmanager
def no_file_longer_than(size: int) -> Generator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_takes_whole_lines_and_the_rest_later(file: JsonLines, path: Path) -> None:
    lines = lines_of(*range(10, 20))
    with no_file_longer_than(42), pytest.raises(OSError, match="too large"):
        file.append(lines)

    assert numbers_in(path) == [10, 11, 12, 13]
    assert len(lines) == 6
    file.append(lines)
    assert numbers_in(path) == list(range(10, 20))
    assert not lines


def test_a_line_that_cannot_be_taken_back_is_written_once_more(
    file: JsonLines, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: int) -> None:
        raise OSError(errno.EINVAL, "as a pipe does")

    lines = lines_of(1, 2)
    monkeypatch.setattr(os, "ftruncate", refuse)
    with no_file_longer_than(12), pytest.raises(OSError, match="too large"):
        file.append(lines)
    file.append(lines)

    assert path.read_text() == '{"n": 1}\n{"n{"n": 2}\n'


def a_full_device(folder: Path) -> Path:
    return Path("/dev/full")


def a_missing_folder(folder: Path) -> Path:
    return folder / "missing" / "audit.jsonl"


def a_folder(folder: Path) -> Path:
    return folder


@pytest.mark.parametrize(
    ("place", "number"), [(a_full_device, errno.ENOSPC), (a_missing_folder, errno.ENOENT), (a_folder, errno.EISDIR)]
)
def test_a_place_that_takes_nothing_leaves_the_lines(
    place: Callable[[Path], Path], number: int, tmp_path: Path
) -> None:
    file, lines = JsonLines(place(tmp_path)), lines_of(1, 2)

    with pytest.raises(OSError, match=os.strerror(number)):
        file.append(lines)

    assert lines == lines_of(1, 2)
    file.close()
