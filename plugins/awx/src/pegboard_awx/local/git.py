"""Git: commit what changed in a project and push it, once, without the hooks of the repository."""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from typing_extensions import TypedDict

from pegboard import Call, ToolError
from pegboard_awx.local.children import Done, Program, run
from pegboard_awx.local.roots import Roots
from pegboard_awx.settings import Settings

BRANCH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]{0,199}")
SECONDS = 40.0
HANDOVER = 2.0
CREDENTIALS = re.compile(r"://[^/@\s]+@")
FIXED = ("core.hooksPath=/dev/null", "core.fsmonitor=false", "protocol.ext.allow=never", "gc.auto=0")
ENVIRON = {"GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": "ssh -o BatchMode=yes", "GIT_EDITOR": "true"}


class Pushed(TypedDict, total=False):
    """What was committed and pushed."""

    commit: str
    branch: str
    committed: bool
    message: str


@dataclass(frozen=True, slots=True)
class Repository:
    """A working tree in the roots, and git for one call."""

    call: Call[Settings]
    roots: Roots
    program: Program

    @classmethod
    async def of(cls, call: Call[Settings], roots: Roots, folder: Path) -> "Repository":
        """Find the repository of a folder; raises `ToolError` if its files or its history are not in the roots."""
        program = Program.find("git", folder, None, "install git")
        repository = cls(call, roots, program)
        places = await repository.said("rev-parse", "--show-toplevel", "--absolute-git-dir")
        for place in places.splitlines():
            with suppress(ToolError):
                roots.folder(place)
                continue
            raise ToolError(f"the git repository of {roots.shown(folder)} is not in the folders of local_roots")
        return repository

    async def push(self, message: str, branch: str | None, add_all: bool) -> Pushed:
        """Commit and push to `origin`, once."""
        branch = branch or await self.said("symbolic-ref", "--short", "HEAD")
        if not BRANCH.fullmatch(branch) or ".." in branch:
            raise ToolError(f"{branch!r} is no name of a branch")
        if add_all:
            await self.said("add", "--all")
        committed = (await self._git("diff", "--cached", "--quiet")).status == 1
        if committed:
            await self.said("commit", "--quiet", f"--message={message}")
        commit = await self.said("rev-parse", "HEAD")
        await self.said("push", "--quiet", "origin", f"HEAD:refs/heads/{branch}")
        pushed: Pushed = {"commit": commit, "branch": branch, "committed": committed}
        return {**pushed, "message": message} if committed else pushed

    async def said(self, *arguments: str) -> str:
        """What git answers; raises `ToolError` with its reason."""
        done = await self._git(*arguments)
        if done.status is None:
            raise ToolError(
                f"git {arguments[0]} was stopped at its time; look whether it was done before you repeat it"
            )
        if done.status != 0:
            raise ToolError(f"git {arguments[0]}: {_reason(done)}")
        return done.output.strip()

    async def _git(self, *arguments: str) -> Done:
        fixed = [part for one in FIXED for part in ("-c", one)]
        seconds = max(0.0, min(SECONDS, self.call.remaining - HANDOVER))
        return await run(
            self.program, [*fixed, *arguments], seconds, environ={**ENVIRON, **_ceiling(self.roots.folders)}
        )


def _ceiling(roots: Sequence[Path]) -> dict[str, str]:
    """Git does not look for a repository above the roots."""
    return {"GIT_CEILING_DIRECTORIES": ":".join(str(root.parent) for root in roots)}


def _reason(done: Done) -> str:
    said = (done.errors or done.output).strip() or f"it ended with {done.status}"
    return CREDENTIALS.sub("://", said)[-600:]
