"""A workspace of playbooks on this machine, and a hub that may use it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.plugins.awx.ansible import installed_ansible
from tests.plugins.awx.asking import Asking, asking

from pegboard_awx.groups import local_playbooks, local_projects

NOWHERE = "http://127.0.0.1:9"
"""No AWX is there: what is local needs none."""

SITE = """\
- name: Site
  hosts: all
  gather_facts: false
  tasks:
    - name: Write it down
      ansible.builtin.copy:
        content: "{{ word | default('nothing') }}"
        dest: "{{ playbook_dir }}/written.txt"
        mode: "0644"
"""


def workspace(folder: Path) -> Path:
    """A root with a project: a playbook, a role, an inventory."""
    root = folder / "root"
    tasks = root / "shop" / "roles" / "web" / "tasks"
    tasks.mkdir(parents=True)
    (tasks / "main.yml").write_text('- ansible.builtin.debug: {msg: "the role has run"}\n')
    (root / "shop" / "site.yml").write_text(SITE)
    (root / "shop" / "inventory.ini").write_text(
        "[web]\nlocalhost ansible_connection=local ansible_password=geheim "
        "ansible_python_interpreter='{{ ansible_playbook_python }}'\n\n[shop:children]\nweb\n"
    )
    return root


@asynccontextmanager
async def working(*roots: Path, **settings: Any) -> AsyncGenerator[Asking]:
    """The local tools, where Ansible is installed and these folders are open."""
    given: dict[str, Any] = {
        "local_roots": [str(root) for root in roots],
        "local_bin": str(installed_ansible()),
        **settings,
    }
    async with asking(NOWHERE, local_playbooks.GROUP, local_projects.GROUP, **given) as ask:
        yield ask
