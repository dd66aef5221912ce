"""`pegboard connect`: what each client wants, and a file of theirs that survives us."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.hub.cli.conftest import Run

from pegboard.cli.client_file import put_server
from pegboard.cli.clients import claude_file, mcp_remote_line, pegboard_command

NPX = ["-y", "mcp-remote", "http://127.0.0.1:8000/sse", "--transport", "sse-only", "--allow-http"]


def printed(run: Run, *arguments: str) -> dict[str, Any]:
    result = run("connect", *arguments)
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_claude_desktop_goes_through_mcp_remote(run: Run) -> None:
    assert printed(run, "claude") == {"mcpServers": {"pegboard": {"command": "npx", "args": NPX}}}


def test_vs_code_and_cursor_take_a_url(run: Run) -> None:
    url = "http://127.0.0.1:8000/mcp"

    assert printed(run, "vscode") == {"servers": {"pegboard": {"type": "http", "url": url}}}
    assert printed(run, "cursor") == {"mcpServers": {"pegboard": {"url": url}}}


def test_an_endpoint_gets_a_server_of_its_own(run: Run) -> None:
    url = "http://127.0.0.1:8000/awx/inventory/mcp"

    assert printed(run, "cursor", "--endpoint", "awx/inventory") == {
        "mcpServers": {"pegboard-awx-inventory": {"url": url}}
    }


def test_the_url_may_be_given_with_and_without_a_transport(run: Run) -> None:
    base = printed(run, "vscode", "--url", "https://hub.example.com/")
    sse = printed(run, "vscode", "--url", "https://hub.example.com/tea/sse")
    claude = printed(run, "claude", "--url", "https://hub.example.com/mcp")

    assert base["servers"]["pegboard"] == {"type": "http", "url": "https://hub.example.com/mcp"}
    assert sse["servers"]["pegboard"] == {"type": "sse", "url": "https://hub.example.com/tea/sse"}
    assert claude["mcpServers"]["pegboard"]["args"][2:] == ["https://hub.example.com/mcp", "--transport", "http-only"]


@pytest.mark.parametrize(
    ("host", "url"),
    [("0.0.0.0", "http://127.0.0.1:9000/mcp"), ("::1", "http://[::1]:9000/mcp"), ("hub", "http://hub:9000/mcp")],
)
def test_the_url_follows_the_configuration(run: Run, host: str, url: str) -> None:
    Path("pegboard.toml").write_text(f'[server]\nhost = "{host}"\nport = 9000\n')

    assert printed(run, "cursor")["mcpServers"]["pegboard"] == {"url": url}


def test_a_client_can_start_the_hub_itself_from_any_folder(run: Run) -> None:
    Path("pegboard.toml").touch()

    entry = printed(run, "claude", "--stdio", "--endpoint", "postgres")["mcpServers"]["pegboard-postgres"]

    assert Path(entry["command"]).is_absolute()
    assert entry["args"] == ["stdio", "--endpoint", "postgres", "--config", str(Path("pegboard.toml").absolute())]


def test_vs_code_wants_to_know_that_it_is_stdio(run: Run) -> None:
    assert printed(run, "vscode", "--stdio")["servers"]["pegboard"]["type"] == "stdio"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--url", "http://x", "--stdio"], "takes no --url"),
        (["--url", "127.0.0.1:8000"], "must begin with http:// or https://"),
        (["--url", "http://x/tea/sse", "--endpoint", "tea"], "leave out --endpoint"),
        (["--config", "any-port.toml"], "only --url can tell the port"),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage(run: Run, arguments: list[str], message: str) -> None:
    Path("any-port.toml").write_text("[server]\nport = 0\n")

    result = run("connect", "claude", *arguments)

    assert result.exit_code == 2
    assert message in result.stderr


def test_an_unknown_client_is_answered_with_those_there_are(run: Run) -> None:
    result = run("connect", "cursr")

    assert result.exit_code == 2
    assert "'claude', 'vscode', 'cursor'" in result.stderr


def test_write_makes_the_file_and_its_folders(run: Run) -> None:
    result = run("connect", "vscode", "--write")

    assert (result.exit_code, result.stdout) == (0, "")
    assert json.loads(Path(".vscode/mcp.json").read_text()) == printed(run, "vscode")
    assert "added the server 'pegboard'" in result.stderr
    assert "open this folder in VS Code" in result.stderr


def test_write_keeps_everything_else_and_a_backup(run: Run) -> None:
    file = claude_file()
    file.parent.mkdir(parents=True)
    before = '{\n    "größe": [1, 2],\n    "mcpServers": {"other": {"command": "x"}, "pegboard": {"url": "old"}}\n}'
    file.write_text(before, encoding="utf-8")
    file.chmod(0o640)

    result = run("connect", "claude", "--write")

    assert "replaced the server 'pegboard'" in result.stderr
    assert json.loads(file.read_text()) == {
        "größe": [1, 2],
        "mcpServers": {"other": {"command": "x"}, "pegboard": {"command": "npx", "args": NPX}},
    }
    assert '    "größe"' in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o640
    (backup,) = file.parent.glob("*.bak")
    assert backup.read_text(encoding="utf-8") == before
    assert str(backup) in result.stderr


def test_writing_twice_changes_nothing_the_second_time(run: Run) -> None:
    run("connect", "cursor", "--write")

    result = run("connect", "cursor", "--write")

    assert result.stderr.endswith("has the server 'pegboard' already; nothing was changed\n")
    assert [file.name for file in (Path.home() / ".cursor").iterdir()] == ["mcp.json"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"mcpServers": {', "not valid JSON"),
        ("{} // mine", "JSON with comments"),
        ("[]", "it should be an object"),
        ('{"mcpServers": []}', '"mcpServers" should be an object'),
    ],
)
def test_a_file_that_is_not_as_it_should_be_is_left_untouched(run: Run, text: str, message: str) -> None:
    file = Path.home() / ".cursor" / "mcp.json"
    file.parent.mkdir()
    file.write_text(text)

    result = run("connect", "cursor", "--write")

    assert result.exit_code == 1
    assert message in result.stderr
    assert file.read_text() == text
    assert list(file.parent.iterdir()) == [file]


def test_an_empty_file_and_one_with_a_mark_of_byte_order_are_fine(tmp_path: Path) -> None:
    empty, marked = tmp_path / "empty.json", tmp_path / "marked.json"
    empty.touch()
    marked.write_text('\ufeff{"a": 1}', encoding="utf-8")

    put_server(empty, "servers", "x", {})
    put_server(marked, "servers", "x", {})

    assert json.loads(empty.read_text()) == {"servers": {"x": {}}}
    assert json.loads(marked.read_text()) == {"a": 1, "servers": {"x": {}}}


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link.json").symlink_to(tmp_path / "real.json")

    put_server(tmp_path / "link.json", "servers", "x", {})

    assert (tmp_path / "link.json").is_symlink()
    assert json.loads((tmp_path / "real.json").read_text()) == {"servers": {"x": {}}}


def test_a_file_that_cannot_be_written_is_said_and_nothing_is_left_behind(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "replace", fail)

    result = run("connect", "cursor", "--write")

    assert result.exit_code == 1
    assert "cannot be changed" in result.stderr
    assert list((Path.home() / ".cursor").iterdir()) == []


def test_claude_desktop_keeps_its_file_where_the_system_wants_it() -> None:
    home, name = Path.home(), "claude_desktop_config.json"

    assert claude_file("darwin", {}) == home / "Library" / "Application Support" / "Claude" / name
    assert claude_file("win32", {"APPDATA": "/roaming"}) == Path("/roaming") / "Claude" / name
    assert claude_file("win32", {}) == home / "AppData" / "Roaming" / "Claude" / name
    assert claude_file("linux", {"XDG_CONFIG_HOME": "/config"}) == Path("/config") / "Claude" / name


def test_without_a_script_beside_python_the_one_on_the_path_is_used_or_the_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert pegboard_command() == [str(Path(sys.executable).with_name("pegboard"))]
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert pegboard_command() == [str(tmp_path / "python"), "-m", "pegboard.cli"]
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "pegboard").touch(mode=0o755)
    assert pegboard_command() == [str(tmp_path / "bin" / "pegboard")]


# A hub that asks for keys

HEADER = "Authorization: Bearer ${PEGBOARD_KEY}"


@pytest.fixture
def asking() -> None:
    Path("pegboard.toml").write_text('[auth]\nkeys_file = "keys.json"\n')


@pytest.mark.usefixtures("asking")
def test_claude_desktop_gets_the_header_and_a_place_for_the_key(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEGBOARD_KEY", "peg_mine")  # which is not printed
    entry = printed(run, "claude")["mcpServers"]["pegboard"]

    assert entry == {"command": "npx", "args": [*NPX, "--header", HEADER], "env": {"PEGBOARD_KEY": "peg_..."}}


@pytest.mark.usefixtures("asking")
def test_editors_read_the_key_from_its_variable(run: Run) -> None:
    headers = {"Authorization": "Bearer ${env:PEGBOARD_KEY}"}

    assert printed(run, "vscode")["servers"]["pegboard"]["headers"] == headers
    assert printed(run, "cursor")["mcpServers"]["pegboard"]["headers"] == headers
    assert "put yours where peg_... or PEGBOARD_KEY stands" in run("connect", "cursor").stderr


@pytest.mark.usefixtures("asking")
def test_the_key_of_the_variable_is_written_for_claude_desktop(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEGBOARD_KEY", "peg_mine")
    result = run("connect", "claude", "--write")

    entry = json.loads(claude_file().read_text())["mcpServers"]["pegboard"]
    assert entry["env"] == {"PEGBOARD_KEY": "peg_mine"}
    assert claude_file().stat().st_mode & 0o077 == 0
    assert "peg_mine" not in result.output


def test_a_hub_elsewhere_may_ask_for_a_key_too(run: Run) -> None:
    url = ("--url", "https://hub.example.com")

    assert "headers" not in printed(run, "vscode", *url)["servers"]["pegboard"]
    assert "headers" in printed(run, "vscode", *url, "--key")["servers"]["pegboard"]


def test_a_hub_with_a_certificate_is_reached_by_https(run: Run) -> None:
    Path("pegboard.toml").write_text('[server]\ntls_certificate = "x.pem"\n')

    assert printed(run, "cursor")["mcpServers"]["pegboard"]["url"] == "https://127.0.0.1:8000/mcp"
    assert "--allow-http" not in printed(run, "claude")["mcpServers"]["pegboard"]["args"]


def test_no_shell_puts_the_key_into_the_line_for_mcp_remote() -> None:
    """S-36: not among the arguments of a process."""
    assert mcp_remote_line("http://h:1", key=True) == (
        f"npx mcp-remote http://h:1/sse --transport sse-only --allow-http --header '{HEADER}'"
    )
