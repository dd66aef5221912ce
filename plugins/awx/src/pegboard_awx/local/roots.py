"""Roots: the folders an operator opens to the tools, and the only ways to a file in them."""

import os
import stat
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pegboard import ToolError

MOST_BYTES = 256 * 1024
"""Of a file that is read or written."""
MOST_FILES = 2000
"""Looked at in one search; more is a home folder, not a project."""
DEEPEST = 8


@dataclass(frozen=True, slots=True)
class Roots:
    """Real folders. What leads out of them, by `..`, by a link or by anything else, is not there for the tools.

    Files are opened folder by folder from the root, never through a link, so that nobody can put one in the way
    between the check and the opening.
    """

    folders: tuple[Path, ...]

    @classmethod
    def of(cls, given: Sequence[Path]) -> "Roots":
        """The roots as the operator wrote them; raises `ToolError` for one that is no folder."""
        if os.name != "posix":
            raise ToolError("Ansible runs on Linux and macOS only, and the hub does not run there")
        return cls(tuple(_root(folder) for folder in given))

    def folder(self, text: str | None = None, *, within: Path | None = None) -> Path:
        """The folder of that name; without one the first root. Raises `ToolError` if there is none in the roots."""
        found = within or self.folders[0] if text is None else self._find(text, within)
        if not found.is_dir():
            raise ToolError(f"{text!r} is no folder")
        return found

    def file(self, text: str, *, within: Path | None = None) -> Path:
        """The regular file of that name; raises `ToolError` if there is none in the roots."""
        found = self._find(text, within)
        if not stat.S_ISREG(found.lstat().st_mode):
            raise ToolError(f"{text!r} is no regular file")
        return found

    def either(self, text: str, *, within: Path | None = None) -> Path:
        """The folder or the regular file of that name."""
        found = self._find(text, within)
        return found if found.is_dir() else self.file(text, within=within)

    def shown(self, path: Path) -> str:
        """A path in short, as all tools take it back."""
        return str(path.relative_to(self.folders[0])) if len(self.folders) == 1 else str(path)

    def read(self, path: Path, most: int = MOST_BYTES) -> bytes:
        """The content of a real path; raises `ToolError` for what is too large, no regular file, or gone."""
        try:
            with self._entered(path.parent) as parent:
                opened = os.open(path.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=parent)
            with os.fdopen(opened, "rb") as file:
                return _checked(path, file.fileno(), file.read(most + 1), most)
        except OSError as error:
            raise _refused("read", path, error) from error

    def write(self, path: Path, data: bytes, *, overwrite: bool = False) -> None:
        """Put a file where it shall be, whole or not at all; raises `ToolError` if there is one already."""
        if len(data) > MOST_BYTES:
            raise ToolError(f"{path.name} would have {len(data)} bytes; at most {MOST_BYTES} are written")
        try:
            with self._entered(path.parent) as parent:
                _put(parent, path.name, data, overwrite)
        except FileExistsError as error:
            raise ToolError(f"there is {self.shown(path)} already") from error
        except OSError as error:
            raise _refused("written", path, error) from error

    def make(self, path: Path) -> None:
        """Make a folder, and those on the way to it, unless it is there; a link on the way is refused."""
        root = self._root_of(path)
        made = root
        for part in path.relative_to(root).parts:
            made = made / part
            try:
                with self._entered(made.parent) as parent, suppress(FileExistsError):
                    os.mkdir(made.name, dir_fd=parent)
            except OSError as error:
                raise _refused("made", path, error) from error
        with self._entered(path):
            return

    def files(self, folder: Path, suffixes: Sequence[str], skip: Sequence[str] = ()) -> Iterator[Path]:
        """Regular files below a folder, in order."""
        for here, _, names in self._walk(folder, skip):
            found = [here / name for name in names if name[0] != "." and name.endswith(tuple(suffixes))]
            yield from (path for path in found if stat.S_ISREG(path.lstat().st_mode))

    def folders_in(self, folder: Path) -> Iterator[Path]:
        """The folders below a folder, in order."""
        for here, folders, _ in self._walk(folder):
            yield from (here / name for name in folders if not (here / name).is_symlink())

    def _walk(self, folder: Path, skip: Sequence[str] = ()) -> Iterator[tuple[Path, list[str], list[str]]]:
        """Each folder with the names in it; hidden folders, links and those to skip are left out."""
        looked_at = 0
        for place, folders, names, _ in os.fwalk(folder, follow_symlinks=False):
            here = Path(place)
            deep = len(here.relative_to(folder).parts) >= DEEPEST
            folders[:] = [] if deep else sorted(name for name in folders if name[0] != "." and name not in skip)
            looked_at += len(names) + len(folders)
            if looked_at > MOST_FILES:
                raise ToolError(f"{self.shown(folder)} has more than {MOST_FILES} files; name a workspace inside of it")
            yield here, folders, sorted(names)

    def _find(self, text: str, within: Path | None) -> Path:
        """What is of that name in the first place that has it."""
        if "\0" in text or ".." in Path(text).parts or text.startswith("~"):
            raise ToolError(
                f"{text!r} is not taken: a path has no '..', no '~', and stays in the folders of local_roots"
            )
        for place in [*([within] if within else []), *self.folders]:
            with suppress(OSError, RuntimeError):
                real = (place / text).resolve(strict=True)
                if self._holds(real):
                    return real
        places = ", ".join(str(root) for root in self.folders)
        raise ToolError(f"there is no {text!r} in {within or places}")

    def _holds(self, path: Path) -> bool:
        return any(path.is_relative_to(root) for root in self.folders)

    def _root_of(self, path: Path) -> Path:
        for root in self.folders:
            if path.is_relative_to(root):
                return root
        raise ToolError(f"{str(path)!r} is not in the folders of local_roots")

    @contextmanager
    def _entered(self, folder: Path) -> Generator[int]:
        """A descriptor of a folder, reached from its root without following a link."""
        root = self._root_of(folder)
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
        at = os.open(root, flags)
        try:
            for part in folder.relative_to(root).parts:
                inner = os.open(part, flags, dir_fd=at)
                os.close(at)
                at = inner
            yield at
        finally:
            os.close(at)


def _root(folder: Path) -> Path:
    try:
        real = folder.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise ToolError(f"{folder} of local_roots is not there") from error
    if not real.is_dir():
        raise ToolError(f"{folder} of local_roots is no folder")
    return real


def _checked(path: Path, opened: int, data: bytes, most: int) -> bytes:
    if not stat.S_ISREG(os.fstat(opened).st_mode):
        raise ToolError(f"{path.name} is no regular file")
    if len(data) > most:
        raise ToolError(f"{path.name} has more than {most} bytes, which is more than a tool reads")
    return data


def _put(parent: int, name: str, data: bytes, overwrite: bool) -> None:
    draft = f".{name}.{os.getpid()}.{os.urandom(4).hex()}"
    opened = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644, dir_fd=parent)
    try:
        with os.fdopen(opened, "wb") as file:
            file.write(data)
        if overwrite:
            _check_replaceable(parent, name)
            os.replace(draft, name, src_dir_fd=parent, dst_dir_fd=parent)
        else:
            os.link(draft, name, src_dir_fd=parent, dst_dir_fd=parent)  # unlike a renaming it replaces nothing
    finally:
        with suppress(FileNotFoundError):
            os.unlink(draft, dir_fd=parent)


def _check_replaceable(parent: int, name: str) -> None:
    with suppress(FileNotFoundError):
        if not stat.S_ISREG(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
            raise ToolError(f"{name} is no regular file and is left as it is")


def _refused(verb: str, path: Path, error: OSError) -> ToolError:
    return ToolError(f"{path.name} could not be {verb}: {error.strerror or type(error).__name__}")
