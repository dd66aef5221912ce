"""Who may import whom: the drawing in docs/architecture.md, kept by the machine."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HUB = ROOT / "hub" / "src" / "pegboard"

LAYERS = (
    "errors addresses catalog metrics spans running stacks search rows choices breaker retries webclient writer",
    "apart leaks lag hasty plugin validation semantic budget fitting seal kinds backends",
    "hookspecs settings keeper functions matching cursors confirmations web",
    "configuration shared",
    "environments pools prometheus security",
    "call logs telemetry overdue",
    "arguments ending",
    "output",
    "page",
    "reader",
    "results",
    "tools prompts resources",
    "loading overflow tokenizers fetching",
    "view",
    "offers receipt sights",
    "endpoint",
    "hub",
    "builtin",
    "serving",
    "testing",
    "cli",
)
"""From the bottom to the top: a module imports from layers below its own only. A package is one box."""

ONLY_IN = {
    "mcp": "call spans output tools prompts resources endpoint serving testing cli",
    "mcp_types": "call catalog spans output tools prompts resources overflow view sights endpoint serving testing cli",
    "pluggy": "hookspecs loading",
    "starlette": "serving",
    "uvicorn": "serving",
    "httpx": "webclient security cli",
    "jwt": "security",
    "opentelemetry.sdk": "telemetry prometheus",
    "opentelemetry.exporter": "telemetry prometheus",
    "prometheus_client": "prometheus",
    "redis": "shared",
    "click": "cli",
    "tomlkit": "cli",
    "numpy": "semantic",
}
"""Packages that one place, or a few, may know."""


@dataclass(frozen=True)
class Import:
    """One imported name: `from pegboard.hub import Hub` is module `pegboard.hub`, name `Hub`."""

    module: str
    name: str | None
    for_types: bool

    @property
    def box(self) -> str | None:
        """The box of the drawing it leads to, if it is one of ours."""
        package, _, rest = self.module.partition(".")
        if package != "pegboard":
            return None
        return rest.split(".")[0] or self.name

    def is_of(self, package: str) -> bool:
        names = (self.module, f"{self.module}.{self.name}")
        return any(name == package or name.startswith(f"{package}.") for name in names)


def sources(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def imports(path: Path) -> Iterator[Import]:
    """Every import of a file, also those inside of functions."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    guards = (node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test))
    for_types = {id(inner) for guard in guards for statement in guard.body for inner in ast.walk(statement)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, None, id(node) in for_types) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield from (Import(node.module or "", alias.name, id(node) in for_types) for alias in node.names)


def box_of(path: Path) -> str:
    return path.relative_to(HUB).parts[0].removesuffix(".py")


def called(path: Path) -> set[str]:
    """The names of everything a file calls: `print`, `asyncio.create_task`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}


HUB_SOURCES = [path for path in sources(HUB) if path != HUB / "__init__.py"]
PLUGIN_SOURCES = [path for folder in ("plugins", "examples") for path in sources(ROOT / folder) if "/src/" in str(path)]
ALL_SOURCES = [*sources(HUB), *PLUGIN_SOURCES]


def short(path: Path) -> str:
    return str(path.relative_to(ROOT)).partition("src/")[2]


each_hub_module = pytest.mark.parametrize("path", HUB_SOURCES, ids=short)
each_plugin_module = pytest.mark.parametrize("path", PLUGIN_SOURCES, ids=short)
each_module = pytest.mark.parametrize("path", ALL_SOURCES, ids=short)


@each_hub_module
def test_a_module_imports_only_from_below(path: Path) -> None:
    heights = {name: height for height, layer in enumerate(LAYERS) for name in layer.split()}
    box = box_of(path)
    assert box in heights, f"draw {box} into LAYERS and docs/architecture.md"

    boxes = {found.box for found in imports(path) if not found.for_types} - {None, box}

    assert [name for name in boxes if heights.get(str(name), -1) >= heights[box]] == []


@each_hub_module
def test_a_package_stays_where_it_belongs(path: Path) -> None:
    found = list(imports(path))

    assert [
        package
        for package, boxes in ONLY_IN.items()
        if box_of(path) not in boxes.split() and any(one.is_of(package) for one in found)
    ] == []


def test_a_call_knows_the_sdk_by_its_types_only() -> None:
    assert [found for found in imports(HUB / "call.py") if found.is_of("mcp") and not found.for_types] == []


@pytest.mark.parametrize("path", [*PLUGIN_SOURCES, HUB / "builtin.py"], ids=short)
def test_a_plugin_uses_public_names_only(path: Path) -> None:
    assert [
        found.module for found in imports(path) if found.module.startswith("pegboard.") and not found.for_types
    ] == []


SHARES = {"pegboard_restock": {"pegboard_postgres"}}
"""Plugins that use the published pool of another, and depend on it."""


@each_plugin_module
def test_a_plugin_does_not_know_another(path: Path) -> None:
    own = short(path).split("/")[0]

    packages = {found.module.split(".")[0] for found in imports(path)}

    assert {name for name in packages if name.startswith("pegboard_")} <= {own, *SHARES.get(own, ())}


@each_module
def test_the_first_line_of_a_module_says_its_idea(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


@each_module
def test_no_task_is_started_that_nobody_waits_for_and_no_state_is_global(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))

    assert not called(path) & {"asyncio.create_task", "asyncio.ensure_future", "create_task", "atexit.register"}
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Global)]


@each_module
def test_only_the_command_line_prints(path: Path) -> None:
    assert "print" not in called(path) or path.is_relative_to(HUB / "cli")


TIME_OF_DAY = {
    "pegboard/builtin.py": "since when a backend is away",
    "pegboard/cli/audit.py": "what is shown of the last hour",
    "pegboard/cli/client_file.py": "the name of a copy",
    "pegboard/cli/keys.py": "until when a key holds",
    "pegboard/confirmations.py": "until when a confirmation holds, at every replica",
    "pegboard/hub.py": "when the hub was started",
    "pegboard/prometheus.py": "when a trace saw it",
    "pegboard/security/audit.py": "when something happened",
    "pegboard/security/keys.py": "until when a key holds",
    "pegboard/security/principal.py": "until when a caller may call",
    "pegboard/security/tokens.py": "until when a token holds",
    "pegboard/shared/revocations.py": "until when a revoked key has to be known, at every replica",
    "pegboard_awx/double/clock.py": "what a stand-in for AWX tells",
    "pegboard_awx/groups/infrastructure.py": "how old AWX says that something is",
    "pegboard_awx/groups/schedules.py": "what AWX will run soon",
}
"""Who may ask what time of day it is, and what for: to tell it, or for a moment that others have named."""

CLOCKS = {"time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "datetime.today"}


@each_module
def test_whoever_waits_or_counts_does_not_ask_for_the_time_of_day(path: Path) -> None:
    """F-27: an administrator, or a virtual machine that wakes up, may change it at any moment."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    asked = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)} & CLOCKS
    asked |= {f"{found.module}.{found.name}" for found in imports(path)} & CLOCKS

    assert bool(asked) == (short(path) in TIME_OF_DAY), asked


def test_the_public_names_are_all_the_package_holds() -> None:
    homes = {found.name for found in imports(HUB / "__init__.py") if found.for_types}

    assert homes == {
        *("BackendError", "HTTP", "Call", "Column", "Group", "Limits", "Plugin", "PluginSettings"),
        *("PoolError", "PoolKind"),
        *("Reading", "Rows", "ToolError", "Usage", "hookimpl", "tool"),
    }
