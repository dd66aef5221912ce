"""Group local_playbooks: Ansible itself runs here, in folders made for the test."""

import json
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from tests.plugins.awx.ansible import installed_ansible
from tests.plugins.awx.asking import asking
from tests.plugins.awx.local import NOWHERE, SITE, working, workspace

from pegboard.endpoint import DEADLINE_KEY
from pegboard_awx.groups.local_playbooks import GROUP

SLOW = """\
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - name: Take a while
      ansible.builtin.shell: "echo $$ > {{ playbook_dir }}/pid; exec sleep 300"
      args: {executable: /bin/sh}
"""
PYTHON = {"ansible_python_interpreter": "{{ ansible_playbook_python }}"}
ON_LOCALHOST = "- hosts: localhost\n  gather_facts: false\n  tasks: []\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return workspace(tmp_path)


async def test_the_group_is_not_there_unless_folders_are_opened(root: Path) -> None:
    async with asking(NOWHERE, GROUP) as ask:
        assert await ask.tokens() == {}
    async with asking(NOWHERE, GROUP, local_roots=[str(root)]) as ask:
        assert len(await ask.tokens()) == 8


async def test_the_group_fits_the_small_budget_in_full(root: Path) -> None:
    async with asking(NOWHERE, GROUP, local_roots=[str(root)]) as ask:
        tokens = await ask.tokens()

    assert sum(tokens.values()) <= 1500, tokens


async def test_where_writing_is_denied_only_what_reads_is_there(root: Path) -> None:
    async with asking(NOWHERE, GROUP, local_roots=[str(root)], writes="deny") as ask:
        assert set(await ask.tokens()) == {"awx_validate_playbook", "awx_list_playbooks", "awx_list_roles"}


@pytest.mark.parametrize(
    ("value", "reason"),
    [("srv/playbooks", "must be the full path"), ("/", "and not all of the disk")],
)
async def test_a_root_is_the_full_path_of_a_folder(value: str, reason: str) -> None:
    with pytest.raises(Exception, match=reason):
        async with asking(NOWHERE, GROUP, local_roots=[value]):
            pass


async def test_a_root_that_is_gone_is_named(tmp_path: Path) -> None:
    async with working(tmp_path / "gone") as ask:
        said = await ask.refused("list_playbooks")

    assert said.endswith("gone of local_roots is not there")


# Where Ansible is not installed


@pytest.mark.parametrize(
    ("tool", "arguments", "command"),
    [
        ("validate_playbook", {"playbook": "shop/site.yml"}, "ansible-playbook"),
        ("ansible_playbook", {"playbook": "shop/site.yml"}, "ansible-playbook"),
        ("ansible_role", {"role": "web", "workspace": "shop"}, "ansible-playbook"),
        ("ansible_task", {"module": "ping"}, "ansible"),
    ],
)
async def test_a_command_that_is_not_installed_is_told_with_the_remedy(
    root: Path, tmp_path: Path, tool: str, arguments: dict[str, Any], command: str
) -> None:
    async with working(root, local_bin=str(tmp_path)) as ask:
        said = await ask.refused(tool, **arguments)

    assert said == (
        f"{command} is not installed in {tmp_path} (local_bin); "
        "`pip install ansible-core` brings it, and local_bin names the folder it is in"
    )


async def test_without_ansible_lint_there_is_no_advice(root: Path, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "ansible-playbook").symlink_to(installed_ansible() / "ansible-playbook")
    async with working(root, local_bin=str(tmp_path / "bin")) as ask:
        checked = await ask("validate_playbook", playbook="shop/site.yml")

    assert checked == {"valid": True, "errors": []}


async def test_a_command_that_cannot_be_started_is_told(root: Path, tmp_path: Path) -> None:
    (tmp_path / "ansible").write_text("#!/no/such/interpreter\n")
    (tmp_path / "ansible").chmod(0o755)
    async with working(root, local_bin=str(tmp_path)) as ask:
        said = await ask.refused("ansible_task", module="ping")

    assert said == "ansible could not be started: No such file or directory"


# Files


async def test_a_playbook_is_written_listed_and_valid(root: Path) -> None:
    play = {"name": "Hello", "hosts": "localhost", "tasks": [{"name": "Say", "ansible.builtin.debug": {"msg": "hi"}}]}
    async with working(root) as ask:
        written = await ask("create_playbook", name="hello", content=play, workspace="shop")
        listed = await ask("list_playbooks")
        checked = await ask("validate_playbook", playbook="shop/hello.yml")

    assert written == {"path": "shop/hello.yml", "plays": ["Hello"], "tasks": 1}
    assert listed == {
        "items": [{"path": "shop/hello.yml", "plays": ["Hello"]}, {"path": "shop/site.yml", "plays": ["Site"]}],
        "total": 2,
    }
    assert checked == {"valid": True, "errors": [], "lint": []}


@pytest.mark.parametrize("content", [ON_LOCALHOST, [{"hosts": "localhost"}], {"import_playbook": "site.yml"}])
async def test_a_playbook_may_be_given_as_text_or_as_plays(root: Path, content: Any) -> None:
    async with working(root) as ask:
        written = await ask("create_playbook", name="a.yaml", content=content)

    assert written["path"] == "a.yaml"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("hosts: all", "it is a list of plays, each with hosts or import_playbook"),
        ("- tasks: []", "it is a list of plays"),
        ([], "it is a list of plays"),
        ("- hosts: [", "expected the node content, but found '<stream end>' in line 1"),
        ("[" * 5000, "it is not YAML"),
        ("- hosts: all\n  x: !!python/object/apply:os.system [id]", "could not determine a constructor"),
    ],
)
async def test_what_is_no_playbook_is_not_written(root: Path, content: Any, reason: str) -> None:
    async with working(root) as ask:
        said = await ask.refused("create_playbook", name="a", content=content)

    assert said.startswith("this is no playbook: ")
    assert reason in said
    assert not (root / "a.yml").exists()


@pytest.mark.parametrize(
    ("merge", "uses"),
    [("{<<: [REFS]}", "{}"), ("[REFS]", "tags: *a11"), ("[REFS]", "name: *a11\n  hosts: *a11\n  tasks: [*a11]")],
)
async def test_a_text_that_unfolds_to_a_billion_nodes_is_read_at_once(root: Path, merge: str, uses: str) -> None:
    nodes = {n: merge.replace("REFS", ", ".join([f"*a{n - 1}"] * 9)) for n in range(1, 12)}
    anchors = "\n".join(f"    a{n}: &a{n} {node}" for n, node in nodes.items())
    hosts = "" if "hosts" in uses else "  hosts: all\n"
    content = f"- vars:\n    a0: &a0 {{x: 1}}\n{anchors}\n{hosts}{'' if uses == '{}' else f'  {uses}'}\n"
    with anyio.fail_after(10):
        async with working(root) as ask:
            written = await ask("create_playbook", name="bomb", content=content)
            listed = await ask("list_playbooks")
            if uses != "{}":
                said = await ask.refused("validate_playbook", playbook="bomb.yml")
                assert said == "it is too large, or repeats too much, to be looked at"

    assert written["path"] == "bomb.yml"
    assert listed["total"] == 2


async def test_a_playbook_with_vaulted_values_is_one(root: Path) -> None:
    content = "- hosts: all\n  vars:\n    password: !vault |\n      $ANSIBLE_VAULT;1.1;AES256\n      6162\n"
    async with working(root) as ask:
        written = await ask("create_playbook", name="vaulted", content=content)

    assert written["plays"] == ["all"]
    assert (root / "vaulted.yml").read_text() == content


async def test_a_playbook_is_replaced_only_when_that_is_said(root: Path) -> None:
    async with working(root) as ask:
        said = await ask.refused("create_playbook", name="site", content=ON_LOCALHOST, workspace="shop")
        kept = (root / "shop/site.yml").read_text()
        await ask("create_playbook", name="site", content=ON_LOCALHOST, workspace="shop", overwrite=True)

    assert said == "there is shop/site.yml already"
    assert kept == SITE
    assert (root / "shop/site.yml").read_text() == ON_LOCALHOST
    assert sorted(path.name for path in (root / "shop").iterdir()) == ["inventory.ini", "roles", "site.yml"]


async def test_a_role_is_started_listed_and_run(root: Path) -> None:
    async with working(root) as ask:
        created = await ask("create_role_structure", name="db", workspace="shop", include_dirs=["tasks", "files"])
        again = await ask.refused("create_role_structure", name="db", workspace="shop")
        listed = await ask("list_roles")
        ran = await ask("ansible_role", role="web", workspace="shop")
        missing = await ask.refused("ansible_role", role="wbe", workspace="shop")

    assert created == {"path": "shop/roles/db", "created": ["tasks", "files"]}
    assert (root / "shop/roles/db/tasks/main.yml").read_text() == "---\n"
    assert again == "there is shop/roles/db already"
    assert [role["name"] for role in listed["items"]] == ["db", "web"]
    assert (ran["rc"], ran["check_mode"]) == (0, False)
    assert "the role has run" in ran["output_tail"]
    assert missing == "there is no role 'wbe' in shop; there are db, web"


async def test_folders_without_anything_are_empty_lists(tmp_path: Path) -> None:
    async with working(tmp_path) as ask:
        assert await ask("list_playbooks") == {"items": [], "total": 0}
        assert await ask("list_roles") == {"items": [], "total": 0}


# Checking


async def test_a_mistake_is_told_with_its_file_and_line(root: Path) -> None:
    (root / "bad.yml").write_text("- hosts: all\n  tasks:\n    - debug: {msg: hi}\n      shell: x\n")
    async with working(root) as ask:
        checked = await ask("validate_playbook", playbook="bad.yml")

    assert checked == {
        "valid": False,
        "errors": [{"file": "bad.yml", "line": 3, "message": "conflicting action statements: debug, shell"}],
    }


async def test_advice_of_the_linter_heeds_what_the_folder_skips_and_runs_no_rules_of_it(root: Path) -> None:
    shop = root / "shop"
    (shop / "site.yml").write_text(f"---\n{SITE}    - name: Touch\n      command: touch x\n")
    (shop / "rules").mkdir()
    (shop / "rules" / "own.py").write_text(f"open({str(root / 'ran')!r}, 'w')\n")
    (shop / ".ansible-lint").write_text("skip_list: [fqcn]\nrulesdir: [rules]\n")
    async with working(root) as ask:
        checked = await ask("validate_playbook", playbook="site.yml", workspace="shop")

    assert checked["valid"]
    (advice,) = checked["lint"]
    assert (advice["file"], advice["line"], advice["rule"]) == ("shop/site.yml", 11, "no-changed-when")
    assert not (root / "ran").exists()


@pytest.mark.parametrize(
    "playbook",
    [
        "- hosts: \"{{ lookup('pipe', 'touch RAN') }}\"\n",
        "- import_playbook: \"{{ query('pipe', 'touch RAN') }}\"\n",
        "- hosts: '{{ who }}'\n  vars: {who: \"{{ q('pipe', 'touch RAN') }}\"}\n",
        "- hosts: a\n  tasks:\n  - block:\n    - import_tasks: \"{{ lookup('pipe', 'touch RAN') }}\"\n",
        "- import_playbook: inner.yml\n",
        "- import_playbook: \"{{ 'in' ~ 'ner.yml' }}\"\n",
        "- hosts: \"{% set run = lookup %}{{ run('pipe', 'touch RAN') }}\"\n",
        f"- hosts: \"{{{{ lookup('pipe', 'touch RAN') }}}}\"\n  x: [{', '.join('a' * 20000)}]\n",
        "- hosts: \"{{ lookup('pipe', 'touch RAN') }}\"\n- tasks: []\n",
        "".join(f"- import_playbook: chain{n}.yml\n" for n in range(60)),
    ],
)
async def test_a_check_of_the_syntax_does_not_run_what_stands_in_a_playbook(root: Path, playbook: str) -> None:
    ran = root / "ran"
    (root / "inner.yml").write_text(f"- hosts: \"{{{{ lookup('pipe', 'touch {ran}') }}}}\"\n")
    (root / "evil.yml").write_text(playbook.replace("RAN", str(ran)))
    for number in range(60):
        (root / f"chain{number}.yml").write_text(ON_LOCALHOST)
    async with working(root) as ask:
        said = await ask.refused("validate_playbook", playbook="evil.yml")

    assert re.match(r"\w+\.yml is not checked: |it imports more than 50 playbooks|it is too large", said)
    assert not ran.exists()


async def test_templates_and_lookups_that_are_not_evaluated_are_fine(root: Path) -> None:
    (root / "one.yml").write_text("- hosts: \"{{ who | default('localhost') }}\"\n")
    (root / "two.yml").write_text("- hosts: all\n  vars: {home: \"{{ lookup('env', 'HOME') }}\"}\n")
    async with working(root) as ask:
        assert (await ask("validate_playbook", playbook="one.yml"))["valid"]
        assert (await ask("validate_playbook", playbook="two.yml"))["valid"]


async def test_a_check_runs_neither_an_inventory_that_is_a_program_nor_code_a_folder_configures(root: Path) -> None:
    script, ran = root / "inventory.sh", root / "ran"
    script.write_text(f"#!/bin/sh\ntouch {ran}\necho '{{}}'\n")
    script.chmod(0o755)
    (root / "plugins").mkdir()
    (root / "plugins" / "evil.py").write_text(f"open({str(ran)!r}, 'w')\n")
    (root / "ansible.cfg").write_text("[defaults]\ncallback_plugins = plugins\ncallbacks_enabled = evil\n")
    async with working(root) as ask:
        checked = await ask("validate_playbook", playbook="shop/site.yml", inventory="inventory.sh", workspace=".")

    assert checked["valid"]
    assert not ran.exists()


# Running


async def test_a_run_changes_nothing_unless_it_is_told_to(root: Path) -> None:
    given = {"playbook": "site.yml", "workspace": "shop", "inventory": "inventory.ini", "extra_vars": {"word": "grüß"}}
    async with working(root) as ask:
        dry = await ask("ansible_playbook", **given)
        written_by_dry_run = (root / "shop/written.txt").exists()
        wet = await ask("ansible_playbook", **given, check_mode=False)

    assert (dry["rc"], dry["check_mode"], dry["recap"]) == (0, True, {"localhost": {"ok": 1, "changed": 1}})
    assert dry["next"] == "nothing was changed; check_mode=false does it"
    assert not written_by_dry_run
    assert (wet["rc"], wet["check_mode"], "next" in wet) == (0, False, False)
    assert (root / "shop/written.txt").read_text() == "grüß"


async def test_a_run_that_fails_says_where(root: Path) -> None:
    (root / "fails.yml").write_text(f"{ON_LOCALHOST.replace('[]', '')}    - ansible.builtin.command: /bin/false\n")
    async with working(root) as ask:
        ran = await ask("ansible_playbook", playbook="fails.yml", check_mode=False, verbose=1)

    assert ran["rc"] == 2
    assert ran["recap"] == {"localhost": {"failed": 1}}
    assert "non-zero return code" in ran["output_tail"]


async def test_a_module_answers_host_by_host(root: Path) -> None:
    async with working(root) as ask:
        ping = await ask("ansible_task", module="ansible.builtin.ping")
        on_a = {"hosts": "a", "inventory": "a,", "connection": "local", "extra_vars": PYTHON}
        echo = await ask("ansible_task", module="command", args="echo hello", **on_a)
        wrong = await ask("ansible_task", module="nosuch")
        nobody = await ask("ansible_task", module="ping", hosts="nobody")

    assert ping["results"] == [{"host": "localhost", "status": "success", "result": {"changed": False, "ping": "pong"}}]
    assert echo["results"] == [{"host": "a", "status": "changed", "rc": 0, "output": "hello"}]
    assert (wrong["rc"], wrong["results"][0]["status"]) == (2, "failed")
    assert "nosuch" in wrong["results"][0]["result"]["msg"]
    assert nobody["results"] == []
    assert "Could not match supplied host pattern, ignoring: nobody" in nobody["messages"]


async def test_what_a_module_returns_is_not_a_password(root: Path) -> None:
    async with working(root) as ask:
        ran = await ask(
            "ansible_task", module="debug", args="var=hostvars", inventory="shop/inventory.ini", hosts="all"
        )

    assert "geheim" not in json.dumps(ran)


async def test_a_run_tells_its_tasks_as_they_come(root: Path) -> None:
    told: list[str | None] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        told.append(message)

    async with working(root) as ask:
        given = {"playbook": "site.yml", "workspace": "shop", "inventory": "inventory.ini"}
        await ask.client.call_tool("awx_ansible_playbook", given, progress_callback=on_progress)

    assert told == ["PLAY [Site]", "TASK [Write it down]"]


async def test_the_child_sees_none_of_the_hubs_variables(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEGBOARD_AWX_TOKEN", "geheim")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "geheim")
    async with working(root) as ask:
        ran = await ask("ansible_task", module="command", args="env")

    names = {line.partition("=")[0] for line in ran["results"][0]["output"].splitlines()}
    assert "PATH" in names
    assert "PEGBOARD_AWX_TOKEN" not in names
    assert "geheim" not in ran["results"][0]["output"]


async def test_extra_variables_do_not_stand_in_the_list_of_processes(root: Path) -> None:
    async with working(root) as ask:
        ran = await ask(
            "ansible_task",
            module="shell",
            args="tr '\\0' ' ' </proc/$PPID/cmdline; ps -eo args",
            extra_vars={"k": "geh" + "eim"},
        )

    assert "geheim" not in ran["results"][0]["output"]


# Stopping


async def gone(pid: int) -> None:
    """Wait until a process is no more."""
    while True:
        with suppress(ProcessLookupError, FileNotFoundError):
            os.kill(pid, 0)
            if "State:\tZ" not in Path(f"/proc/{pid}/status").read_text():
                await anyio.sleep(0.02)
                continue
        return


async def started(file: Path) -> int:
    while not (file.exists() and file.read_text().strip()):
        await anyio.sleep(0.02)
    return int(file.read_text())


async def test_a_run_is_stopped_at_its_time_and_leaves_nothing_behind(root: Path) -> None:
    (root / "slow.yml").write_text(SLOW)
    async with working(root) as ask:
        with anyio.fail_after(30):
            ran = await ask("ansible_playbook", playbook="slow.yml", check_mode=False, timeout_s=6)
            await gone(await started(root / "pid"))

    assert "rc" not in ran
    assert ran["next"].startswith("it was stopped after 6 s")
    assert "TASK [Take a while]" in ran["output_tail"]


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("validate_playbook", {"playbook": "shop/site.yml"}, "ansible-playbook --syntax-check took too long"),
        ("ansible_task", {"module": "ping"}, "ping was stopped after 0 s; what it had done until then is done"),
        ("ansible_inventory", {"inventory": "shop/inventory.ini"}, "it is too large, or took too long"),
    ],
)
async def test_a_command_without_time_is_stopped_at_once_and_says_so(
    root: Path, tool: str, arguments: dict[str, Any], said: str
) -> None:
    async with working(root) as ask:
        result = await ask.client.call_tool(f"awx_{tool}", arguments, meta={DEADLINE_KEY: 1})

    assert result.is_error
    assert said in str(result.content)


async def test_a_run_whose_client_gives_up_is_killed_with_all_it_started(root: Path) -> None:
    (root / "slow.yml").write_text(SLOW)

    async def run(client: Client, scope: anyio.CancelScope) -> None:
        with scope:
            await client.call_tool("awx_ansible_playbook", {"playbook": "slow.yml", "check_mode": False})

    async with working(root) as ask:
        with anyio.fail_after(30):
            async with anyio.create_task_group() as tasks:
                scope = anyio.CancelScope()
                tasks.start_soon(run, ask.client, scope)
                await started(root / "pid")
                scope.cancel()
            await gone(await started(root / "pid"))


async def test_output_without_end_costs_bounded_memory_and_shows_its_end(root: Path) -> None:
    (root / "loud.yml").write_text(
        f"{ON_LOCALHOST.replace('[]', '')}    - ansible.builtin.debug: {{msg: \"{{{{ 'x' * 6000000 }}}}\"}}\n"
    )
    async with working(root) as ask:
        ran = await ask("ansible_playbook", playbook="loud.yml", check_mode=False)

    assert ran["recap"] == {"localhost": {"ok": 1}}
    assert len(ran["output_tail"]) <= 4000


# Confirmation


async def test_the_user_is_asked_before_a_playbook_runs_where_the_operator_wants_that(root: Path) -> None:
    async with working(root, writes="confirm") as ask:
        said = await ask.refused("ansible_playbook", playbook="shop/site.yml")

    assert said.startswith("awx_ansible_playbook needs the agreement of your user and has done nothing yet")
