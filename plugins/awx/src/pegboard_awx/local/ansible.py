"""Ansible's commands: how they are called for a tool, and what their output means."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

from typing_extensions import TypedDict

from pegboard import Call, ToolError
from pegboard_awx.local.children import Done, Program, Watch, find, run, scratch
from pegboard_awx.local.playbooks import SUFFIXES
from pegboard_awx.local.roots import Roots
from pegboard_awx.settings import Settings
from pegboard_awx.shapes import hidden

SECONDS = 45.0
"""How long a command may take, since most clients give up after 60 seconds."""
LONGEST = 600
TAIL = 4000
"""Characters of output that are answered."""
HANDOVER = 2.0
LINT_KEYS = ("exclude_paths", "profile", "skip_list", "warn_list")
"""What counts of a folder's own configuration of ansible-lint; the rest can name code."""

PLAIN = {
    "ANSIBLE_NOCOLOR": "1",
    "ANSIBLE_STDOUT_CALLBACK": "default",
    "ANSIBLE_LOCALHOST_WARNING": "0",
    "ANSIBLE_INVENTORY_UNPARSED_WARNING": "0",
    "ANSIBLE_RETRY_FILES_ENABLED": "0",
}
READING = {"ANSIBLE_INVENTORY_ENABLED": "host_list,ini,yaml,toml", "ANSIBLE_LINT_SKIP_SCHEMA_UPDATE": "1"}
"""For commands that shall only read: no inventory is a program."""

HOSTS = re.compile(r"[A-Za-z0-9_.:\[\]-]+(,[A-Za-z0-9_.:\[\]-]+)*,?")
WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
RECAP = re.compile(r"^(\S+)\s+: ((?:\w+=\d+\s*)+)$", re.MULTILINE)
ERROR = re.compile(r"^(?:\[ERROR\]:|ERROR!) ", re.MULTILINE)
ORIGIN = re.compile(r"^Origin: (.+?):(\d+)(?::\d+)?$|in '(.+?)': line (\d+)", re.MULTILINE)
RESULT = re.compile(r"^(\S+) \| ([A-Z]+)!?(?: \| rc=(-?\d+))? (?:=>|>>) ?", re.MULTILINE)


class Problem(TypedDict, total=False):
    """Something wrong with a file, and where."""

    file: str
    line: int
    message: str
    rule: str


class Played(TypedDict, total=False):
    """How a play went: `rc` is what the command ended with, and is not there if it was stopped."""

    rc: int
    recap: dict[str, dict[str, int]]
    output_tail: str
    check_mode: bool
    next: str


class HostResult(TypedDict, total=False):
    """What a task did on one host."""

    host: str
    status: str
    rc: int
    result: dict[str, Any]
    output: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the commands that play have in common; each is checked, since some values would be read as files."""

    inventory: str | None = None
    extra_vars: Mapping[str, Any] | None = None
    limit: str | None = None
    tags: Sequence[str] = ()
    skip_tags: Sequence[str] = ()
    connection: str | None = None
    check: bool = False
    become: bool = False
    verbose: int = 0

    def arguments(self, roots: Roots, folder: Path, scratch: Path) -> list[str]:
        """The options for a command; the extra variables go into a file, since everybody can see arguments."""
        given = {
            "--inventory": inventory_of(roots, self.inventory, folder),
            "--extra-vars": _extra_vars(self.extra_vars, scratch),
            "--limit": self.limit and pattern(self.limit),
            "--tags": ",".join(self.tags),
            "--skip-tags": ",".join(self.skip_tags),
            "--connection": self.connection and word("connection", self.connection),
        }
        flags = {"--check": self.check, "--become": self.become, f"-{'v' * self.verbose}": self.verbose > 0}
        return [
            *(f"{name}={value}" for name, value in given.items() if value),
            *(flag for flag in flags if flags[flag]),
        ]


async def play(
    call: Call[Settings], roots: Roots, folder: Path, playbook: Path, options: Options, seconds: float
) -> Played:
    """Run a playbook and tell how it went; it is stopped after so many seconds."""
    program = _program(call, "ansible-playbook", folder)
    async with scratch() as private:
        arguments = [*options.arguments(roots, folder, private), str(playbook)]
        environ = {**PLAIN, "ANSIBLE_LOCAL_TEMP": str(private)}
        allowed = _seconds(call, seconds)
        done = await run(program, arguments, allowed, environ=environ, watch=_progress(call))
    return _played(done, options.check, allowed)


async def play_role(
    call: Call[Settings], roots: Roots, folder: Path, role: Path, hosts: str, options: Options
) -> Played:
    """Run one role on some hosts, by a playbook written for it."""
    plays = [{"hosts": pattern(hosts), "roles": [{"role": str(role)}]}]
    async with scratch() as private:
        playbook = private / f"role{SUFFIXES[0]}"
        playbook.write_text(json.dumps(plays))
        return await play(call, roots, folder, playbook, options, SECONDS)


async def task(
    call: Call[Settings], roots: Roots, module: str, args: str | None, hosts: str, options: Options
) -> tuple[int, list[HostResult], str]:
    """Run one module on some hosts; returns the status, what it did on each, and the end of its messages."""
    folder = roots.folder()
    program = _program(call, "ansible", folder)
    async with scratch() as private:
        given = [f"--module-name={word('module', module)}", *([f"--args={args}"] if args else [])]
        arguments = [*given, *options.arguments(roots, folder, private), "--", pattern(hosts)]
        allowed = _seconds(call, SECONDS)
        done = await run(program, arguments, allowed, environ={**PLAIN, "ANSIBLE_LOCAL_TEMP": str(private)})
    if done.status is None:
        raise ToolError(f"{module} was stopped after {allowed:g} s; what it had done until then is done")
    return done.status, results_of(done.output), done.errors[-TAIL:].strip()


async def problems_of(
    call: Call[Settings], roots: Roots, playbook: Path, folder: Path, inventory: str | None
) -> list[Problem]:
    """What ansible-playbook has to say against the syntax of a playbook."""
    program = _program(call, "ansible-playbook", folder)
    inventory = inventory_of(roots, inventory, folder)
    given = [f"--inventory={inventory}"] if inventory else []
    done = await _read(call, roots, program, ["--syntax-check", *given, str(playbook)], folder)
    if done.status is None:
        raise ToolError("ansible-playbook --syntax-check took too long and was stopped; check a smaller playbook")
    if done.status == 0:
        return []
    text = done.errors or done.output
    return errors_of(roots, text) or [{"message": _last_line(text)}]


async def lint(call: Call[Settings], roots: Roots, playbook: Path, folder: Path) -> list[Problem] | None:
    """What ansible-lint advises; `None` where it is not installed or has nothing to tell that can be read."""
    path = find("ansible-lint", call.settings.local_bin)
    if path is None:
        return None
    async with scratch() as private:
        config = private / "lint.yml"
        config.write_text(json.dumps(_lint_settings(roots, folder)))
        fixed = ["--offline", "--nocolor", "-q", "--format=json", f"--config-file={config}", f"--project-dir={folder}"]
        environ = {"ANSIBLE_HOME": str(private), "XDG_CACHE_HOME": str(private)}
        done = await _read(call, roots, Program(path, folder), [*fixed, str(playbook)], folder, environ)
    try:
        found = cast(list[dict[str, Any]], json.loads(done.output))
        return [_advice(roots, folder, one) for one in found]
    except (ValueError, KeyError, TypeError):
        return None


async def inventory_list(call: Call[Settings], roots: Roots, folder: Path, inventory: str) -> dict[str, Any]:
    """An inventory as ansible-inventory understands it."""
    program = _program(call, "ansible-inventory", folder)
    environ = {"ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "1"}
    given = [f"--inventory={inventory_of(roots, inventory, folder)}", "--list"]
    done = await _read(call, roots, program, given, folder, environ)
    if done.status != 0 or done.is_cut:
        problem = next(
            (one.get("message") for one in errors_of(roots, done.errors)), "it is too large, or took too long"
        )
        raise ToolError(f"the inventory {inventory!r} cannot be read: {problem}; programs are not run for this")
    return cast(dict[str, Any], json.loads(done.output))


def errors_of(roots: Roots, text: str) -> list[Problem]:
    """The errors in what a command said. The lines it quotes are left out: they may be of any file."""
    starts = [*(match.start() for match in ERROR.finditer(text)), len(text)]
    return [_problem(roots, text[start:end]) for start, end in pairwise(starts)]


def recap_of(output: str) -> dict[str, dict[str, int]]:
    """The counts of each host, those that are not zero."""
    _, _, recap = output.rpartition("PLAY RECAP")
    found = {host: dict(pair.split("=") for pair in counts.split()) for host, counts in RECAP.findall(recap)}
    return {host: {name: int(n) for name, n in counts.items() if n != "0"} for host, counts in found.items()}


def results_of(output: str) -> list[HostResult]:
    """What the command `ansible` prints for each host."""
    heads = list(RESULT.finditer(output))
    starts = [*(head.start() for head in heads), len(output)]
    return [_result(head, output[head.end() : end].strip()) for head, end in zip(heads, starts[1:], strict=True)]


def inventory_of(roots: Roots, text: str | None, folder: Path) -> str | None:
    """What `--inventory` is given: a file or folder of the roots, or hosts with commas between them."""
    if text is None or ("," in text and HOSTS.fullmatch(text)):
        return text
    return str(roots.either(text, within=folder))


def pattern(text: str) -> str:
    """Hosts as Ansible's patterns name them; raises `ToolError` for one that would be read as a file or an option."""
    if not text.strip() or text[0] == "-" or "@" in text or not text.isprintable():
        raise ToolError(f"{text!r} names no hosts: a pattern does not begin with '-' and has no '@'")
    return text


def word(what: str, text: str) -> str:
    """A name like `ansible.builtin.ping`; raises `ToolError` for anything else."""
    if not WORD.fullmatch(text):
        raise ToolError(f"{text!r} is no name of a {what}")
    return text


async def _read(
    call: Call[Settings],
    roots: Roots,
    program: Program,
    arguments: Sequence[str],
    folder: Path,
    environ: Mapping[str, str] | None = None,
) -> Done:
    """Run a command that only reads: what the folder configures is not heeded, since it can be code."""
    roles = ":".join(str(place / "roles") for place in dict.fromkeys([folder, *roots.folders]))
    async with scratch() as private:
        config = private / "ansible.cfg"
        config.touch()
        fixed = {"ANSIBLE_CONFIG": str(config), "ANSIBLE_LOCAL_TEMP": str(private), "ANSIBLE_ROLES_PATH": roles}
        given = {**PLAIN, **READING, **fixed, **(environ or {})}
        return await run(program, arguments, _seconds(call, SECONDS), environ=given)


def _program(call: Call[Settings], name: str, folder: Path) -> Program:
    remedy = "`pip install ansible-core` brings it, and local_bin names the folder it is in"
    return Program.find(name, folder, call.settings.local_bin, remedy)


def _seconds(call: Call[Settings], wanted: float) -> float:
    return max(0.0, min(wanted, call.remaining - HANDOVER))


def _progress(call: Call[Settings]) -> Watch:
    told = 0

    async def watch(line: str) -> None:
        nonlocal told
        if line.startswith(("PLAY [", "TASK [", "RUNNING HANDLER [")):
            told += 1
            await call.progress(told, message=line.rstrip(" *"))

    return watch


def _extra_vars(values: Mapping[str, Any] | None, scratch: Path) -> str:
    if not values:
        return ""
    file = scratch / "extra_vars.json"
    file.write_text(json.dumps(values))
    return f"@{file}"


def _played(done: Done, check: bool, allowed: float) -> Played:
    answer: Played = {"recap": recap_of(done.output), "output_tail": _tail(done), "check_mode": check}
    if done.status is None:
        return {**answer, "next": f"it was stopped after {allowed:g} s; what it had done until then is done"}
    if done.status == 0 and check:
        return {"rc": 0, **answer, "next": "nothing was changed; check_mode=false does it"}
    return {"rc": done.status, **answer}


def _tail(done: Done) -> str:
    text = done.output if done.status == 0 else f"{done.output}\n{done.errors}".strip()
    return text[-TAIL:].strip()


def _problem(roots: Roots, text: str) -> Problem:
    message = ERROR.sub("", text.splitlines()[0]).strip()
    origin = ORIGIN.search(text)
    if origin is None:
        return {"message": message}
    file, line = origin[1] or origin[3], origin[2] or origin[4]
    return {"file": _shown(roots, Path(file)), "line": int(line), "message": message}


def _shown(roots: Roots, path: Path) -> str:
    return roots.shown(path) if any(path.is_relative_to(root) for root in roots.folders) else path.name


def _result(head: re.Match[str], text: str) -> HostResult:
    result: HostResult = {"host": head[1], "status": head[2].lower()}
    if head[3] is not None:
        return {**result, "rc": int(head[3]), "output": text}
    try:
        return {**result, "result": hidden(json.loads(text))}
    except ValueError:
        return {**result, "output": text}


def _lint_settings(roots: Roots, folder: Path) -> dict[str, Any]:
    from pegboard_awx.local.documents import parse

    for name in (".ansible-lint", ".ansible-lint.yml", ".ansible-lint.yaml", ".config/ansible-lint.yml"):
        try:
            given = parse(roots.read(roots.file(name, within=folder)))
        except (ToolError, ValueError):
            continue
        return {key: given[key] for key in LINT_KEYS if key in given} if isinstance(given, dict) else {}
    return {}


def _advice(roots: Roots, folder: Path, found: Mapping[str, Any]) -> Problem:
    place = found["location"]
    begin = place["lines"]["begin"] if "lines" in place else place["positions"]["begin"]["line"]
    return {
        "file": _shown(roots, folder / place["path"]),
        "line": int(begin),
        "rule": str(found["check_name"]),
        "message": str(found["description"]),
    }


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "ansible-playbook says nothing")
