"""Playbooks: what the projects of the double hold, and what happens to each host when one of them runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any, Literal

Outcome = Literal["ok", "changed", "skipped", "failed", "unreachable", "ignored"]


@dataclass(frozen=True, slots=True)
class Task:
    """A task, what its module answers, and the hosts (patterns) to which something else happens."""

    name: str
    module: str = "ansible.builtin.command"
    outcome: Outcome = "ok"
    result: Mapping[str, Any] = field(default_factory=dict[str, Any])
    fails: Mapping[str, str] = field(default_factory=dict[str, str])
    unreachable: Mapping[str, str] = field(default_factory=dict[str, str])
    skips: tuple[str, ...] = ()
    role: str = ""
    rc: int | None = None
    ignores_errors: bool = False
    items: int = 0
    """How many items it loops over, each with a long message."""

    def happens(self, host: str) -> tuple[Outcome, str]:
        """What happens to a host, and the message where that is bad."""
        for pattern, message in self.unreachable.items():
            if fnmatchcase(host, pattern):
                return "unreachable", message.format(host=host)
        for pattern, message in self.fails.items():
            if fnmatchcase(host, pattern):
                return "ignored" if self.ignores_errors else "failed", message.format(host=host)
        if any(fnmatchcase(host, pattern) for pattern in self.skips):
            return "skipped", ""
        return self.outcome, ""


@dataclass(frozen=True, slots=True)
class Playbook:
    """A playbook of one play, and how long it runs."""

    file: str
    play: str
    tasks: tuple[Task, ...]
    seconds: float = 5.0
    artifacts: Mapping[str, Any] = field(default_factory=dict[str, Any])
    gathers_facts: bool = False


LEGACY = {"legacy-*": "Failed to connect to the host via ssh: ssh: connect to host {host} port 22: No route to host"}
GATHER = Task("Gathering Facts", "ansible.builtin.setup", unreachable=LEGACY)

PLAYBOOKS: Mapping[str, Playbook] = MappingProxyType(
    {
        one.file: one
        for one in (
            Playbook(
                "deploy.yml",
                "Deploy the web shop",
                (
                    GATHER,
                    Task("Take the host out of the load balancer", "ansible.builtin.uri", role="loadbalancer"),
                    Task("Fetch the release", "ansible.builtin.get_url", "changed", role="shop"),
                    Task(
                        "Migrate the database", "ansible.builtin.command", "changed", skips=("lb-*",), role="shop", rc=0
                    ),
                    Task("Restart the service", "ansible.builtin.systemd", "changed", role="shop"),
                    Task("Wait for the health check", "ansible.builtin.uri", role="shop"),
                    Task("Put the host back into the load balancer", "ansible.builtin.uri", role="loadbalancer"),
                ),
                seconds=180.0,
                artifacts={"release": "2026.11.3"},
            ),
            Playbook(
                "patch.yml",
                "Patch the operating system",
                (
                    GATHER,
                    Task("Update all packages", "ansible.builtin.apt", "changed", unreachable=LEGACY),
                    Task("Reboot when the kernel changed", "ansible.builtin.reboot", "changed", skips=("db-*",)),
                    Task("Check that the services are up", "ansible.builtin.service_facts"),
                ),
                seconds=45.0,
            ),
            Playbook(
                "backup.yml",
                "Back up the databases",
                (
                    GATHER,
                    Task(
                        "Check free space",
                        "ansible.builtin.shell",
                        rc=1,
                        fails={"db-02": "disk /var is 97% full on {host}"},
                    ),
                    Task("Dump the databases", "community.postgresql.postgresql_db", "changed"),
                    Task("Copy the dump to the vault", "ansible.builtin.copy", "changed"),
                ),
                seconds=20.0,
            ),
            Playbook(
                "certificates.yml",
                "Renew certificates",
                (
                    GATHER,
                    Task(
                        "Ask the authority for a certificate",
                        "community.crypto.acme_certificate",
                        fails={
                            "web-*": "the challenge for {host} was not answered within 30 s",
                            "lb-*": "rate limit reached",
                        },
                        rc=1,
                    ),
                    Task("Reload nginx", "ansible.builtin.systemd", "changed"),
                ),
                seconds=12.0,
            ),
            Playbook(
                "facts.yml",
                "Gather facts",
                (GATHER, Task("Count the packages", "ansible.builtin.package_facts")),
                seconds=4.0,
                gathers_facts=True,
            ),
            Playbook(
                "report.yml",
                "Report on the fleet",
                (GATHER, Task("Print the report", "ansible.builtin.debug", items=1000)),
                seconds=8.0,
            ),
            Playbook(
                "hello.yml",
                "Hello play",
                (
                    Task("Say greeting", "ansible.builtin.debug", result={"msg": "hello from {host}"}),
                    Task("Set an artifact", "ansible.builtin.set_stats"),
                ),
                seconds=1.2,
                artifacts={"greeted": "hello"},
            ),
            Playbook(
                "fail.yml",
                "Failing play",
                (
                    Task("Before", "ansible.builtin.debug", result={"msg": "so far so good"}),
                    Task(
                        "This fails on purpose", "ansible.builtin.fail", fails={"*": "disk /var is 97% full on {host}"}
                    ),
                ),
                seconds=2.6,
            ),
        )
    }
)
"""By file name."""

UPDATE_PROJECT = Playbook(
    "project_update.yml",
    "Update source tree if necessary",
    (
        Task("Update project using git", "ansible.builtin.git", "changed"),
        Task("Set the git repository version", "ansible.builtin.set_fact"),
        Task("Repository Version", "ansible.builtin.debug", result={"msg": "Repository Version {host}"}),
    ),
    seconds=2.4,
)

FAILED_PROJECT = Playbook(
    "project_update.yml",
    "Update source tree if necessary",
    (
        Task(
            "Update project using git",
            "ansible.builtin.git",
            fails={
                "*": "fatal: could not read from remote repository. Please make sure you have the correct access rights"
            },
            rc=128,
        ),
    ),
    seconds=2.4,
)


def playbook(file: str) -> Playbook:
    """The playbook of a file; one the double does not know says hello."""
    return PLAYBOOKS.get(file) or PLAYBOOKS["hello.yml"]


def ad_hoc(module: str, arguments: str) -> Playbook:
    """The playbook that an ad hoc command amounts to."""
    result = {"ping": "pong"} if module == "ping" else {"cmd": arguments, "rc": 0, "stdout": "up 41 days", "stderr": ""}
    return Playbook(
        "__adhoc_playbook__", "Ansible Ad-Hoc", (Task(module, module, result=result, unreachable=LEGACY),), 1.5
    )
