"""The seed: Alpenkraft, a small company that sells mountain gear, and two weeks of its automation."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from pegboard_awx.double import effects, rrules
from pegboard_awx.double.families.access import add_role_definitions
from pegboard_awx.double.kinds import Row, data
from pegboard_awx.double.life import Life
from pegboard_awx.double.spawning import run
from pegboard_awx.double.world import NODE, VERSION, World

ADMIN = ("admin", "alpenkraft")
"""The user and the password of the administrator."""
PASSWORD = "alpenkraft"  # noqa: S105 # of every user of the double
TOKEN = "alpenkraft-admin-token"  # noqa: S105 # of the double
READ_TOKEN = "alpenkraft-read-token"  # noqa: S105 # of the double
OPERATOR_TOKEN = "alpenkraft-operator-token"  # noqa: S105 # of the double: nora may run things
VIEWER_TOKEN = "alpenkraft-viewer-token"  # noqa: S105 # of the double: vera may only look

PEOPLE = (
    ("admin", "Ada", "Minder", True, False),
    ("nora", "Nora", "Keller", False, False),
    ("vera", "Vera", "Brunner", False, False),
    ("audit", "Urs", "Hofer", False, True),
    ("luca", "Luca", "Bernasconi", False, False),
)
WEB = [f"web-{number:02}" for number in range(1, 9)]
DATABASES = ["db-01", "db-02", "db-03"]
BALANCERS = ["lb-01", "lb-02"]
OTHERS = ["cache-01", "cache-02", "queue-01", "mail-01", "legacy-01"]
STAGING = ["stage-web-01", "stage-web-02", "stage-db-01"]


def sow(world: World, life: Life) -> None:
    """Fill an empty world."""
    Seeder(world, life).sow()


def bare(world: World, life: Life) -> None:  # the shape of a seed
    """Fill a world with what a fresh AWX has: one user, its node, its environments and its own jobs."""
    seeder = Seeder(world, life)
    seeder.sow_system()
    seeder.sow_admin()


class Seeder:
    """Fills a world, step by step; later steps name what earlier ones made."""

    def __init__(self, world: World, life: Life) -> None:
        self.world = world
        self.store = world.store
        self.life = life
        self.began = world.now() - timedelta(days=14)
        self.admin: Row = {}

    def sow(self) -> None:
        self.sow_system()
        self.sow_people()
        self.sow_credentials()
        self.sow_projects()
        self.sow_inventories()
        self.sow_templates()
        self.sow_workflows()
        self.sow_schedules()
        self.sow_notifications()
        self.sow_history()

    def make(self, collection: str, **values: Any) -> Row:
        return self.world.make(collection, self.admin or None, created=self.began, **values)

    def sow_system(self) -> None:
        """What AWX brings itself."""
        store = self.store
        node = store.add(
            "instances",
            hostname=NODE,
            uuid=self.world.unique("node"),
            version=VERSION,
            capacity=220,
            cpu="4.0",
            memory=16_777_216_000,
            cpu_capacity=16,
            mem_capacity=220,
            capacity_adjustment="1.00",
            percent_capacity_remaining=100.0,
            enabled=True,
            managed_by_policy=True,
            node_type="hybrid",
            node_state="ready",
            managed=True,
            last_seen=self.world.now(),
            last_health_check=self.world.now(),
            peers=[],
            reverse_peers=[],
        )
        for name in ("controlplane", "default"):
            group = self.world.make("instance_groups", None, name=name, policy_instance_percentage=100)
            store.link(group, "instances", node)
        images = (("AWX EE (latest)", False), ("Control Plane Execution Environment", True))
        for name, managed in images:
            store.add(
                "execution_environments", name=name, image="quay.io/ansible/awx-ee:latest", managed=managed, pull=""
            )
        for kind in data("credential_types"):
            store.add("credential_types", managed=True, injectors={}, **kind)
        for name, job_type, about in (
            ("Cleanup Job Details", "cleanup_jobs", "Remove job history"),
            ("Cleanup Activity Stream", "cleanup_activitystream", "Remove activity stream history"),
            ("Cleanup Expired Sessions", "cleanup_sessions", "Cleans out expired browser sessions"),
            ("Cleanup Expired OAuth 2 Tokens", "cleanup_tokens", "Cleanup expired OAuth 2 access and refresh tokens"),
        ):
            store.add("system_job_templates", name=name, description=about, job_type=job_type, status="ok")
            self._cleaning(name)
        add_role_definitions(self.world)

    def _cleaning(self, name: str) -> None:
        """AWX cleans up once a week by itself."""
        template = self.store.find("system_job_templates", name=name)
        assert template is not None
        rule = "DTSTART:20261101T040000Z RRULE:FREQ=WEEKLY;INTERVAL=1;BYDAY=SU"
        self._schedule(f"{name} Schedule", template, rule, True)

    def sow_admin(self) -> None:
        name, first, last, superuser, auditor = PEOPLE[0]
        self.admin = self._user(name, first, last, superuser, auditor)
        self._token(self.admin, TOKEN, "write", "pegboard")

    def sow_people(self) -> None:
        self.sow_admin()
        self._token(self.admin, READ_TOKEN, "read", "dashboards")
        nora, vera, _, luca = (self._user(*person) for person in PEOPLE[1:])
        self._token(nora, OPERATOR_TOKEN, "write", "laptop")
        self._token(vera, VIEWER_TOKEN, "write", "laptop")
        self.company = self.make("organizations", name="Alpenkraft", description="Mountain gear, shop and warehouse")
        self.lab = self.make("organizations", name="Lab", description="Where things may break")
        self.operations = self.make("teams", name="Operations", organization=self.company["id"], description="On call")
        self.developers = self.make("teams", name="Developers", organization=self.company["id"], description="The shop")
        for user in (nora, vera, luca):
            self._grant(self.company, "member_role", "users", user)
        self._grant(self.operations, "member_role", "users", nora)
        self._grant(self.developers, "member_role", "users", luca)
        self._grant(self.company, "read_role", "users", vera)
        self._grant(self.lab, "admin_role", "users", luca)

    def sow_credentials(self) -> None:
        self.machine = self._credential(
            "Alpenkraft servers", "Machine", {"username": "deploy", "ssh_key_data": "$encrypted$"}
        )
        self.vault = self._credential("Shop vault", "Vault", {"vault_password": "$encrypted$"})
        self.scm = self._credential("Git deploy key", "Source Control", {"username": "git", "password": "$encrypted$"})

    def sow_projects(self) -> None:
        git = {
            "scm_type": "git",
            "scm_branch": "main",
            "status": "successful",
            "scm_revision": "4f1c0d9e8b7a65432100ffeeddccbbaa99887766",
        }
        url = "https://git.alpenkraft.example/ops"
        self.shop = self.make(
            "projects", name="Web shop", organization=self.company["id"], scm_url=f"{url}/shop.git", **git
        )
        self.shop.update(credential=self.scm["id"], local_path="_shop", description="Deployment of the shop")
        self.base = self.make(
            "projects", name="Base system", organization=self.company["id"], scm_url=f"{url}/base.git", **git
        )
        self.base.update(local_path="_base", description="Patches, backups and certificates of all servers")
        self.manual = self.make(
            "projects", name="Lab manual", organization=self.lab["id"], local_path="lab", status="ok", scm_type=""
        )
        broken = {**git, "status": "failed", "scm_revision": "", "last_job_failed": True, "last_update_failed": True}
        url = "https://git.alpenkraft.example/nosuch.git"
        self.make(
            "projects", name="Warehouse robots", organization=self.company["id"], scm_url=url, _fails=True, **broken
        )
        self._grant(self.shop, "use_role", "teams", self.operations)
        self._grant(self.shop, "update_role", "teams", self.operations)

    def sow_inventories(self) -> None:
        about = "All servers that customers notice"
        variables = json.dumps({"site": "zurich", "ntp_server": "ntp.alpenkraft.example"})
        company = self.company["id"]
        self.production = self.make(
            "inventories", name="Production", organization=company, description=about, kind="", variables=variables
        )
        self.staging = self.make(
            "inventories", name="Staging", organization=company, kind="", variables="site: zurich\nstage: true\n"
        )
        self.small = self.make("inventories", name="Lab servers", organization=self.lab["id"], kind="", variables="")
        self._hosts(self.production, {"web": WEB, "databases": DATABASES, "balancers": BALANCERS, "other": OTHERS})
        self._hosts(self.staging, {"web": STAGING[:2], "databases": STAGING[2:]})
        self._hosts(self.small, {"lab": ["lab-01", "lab-02"]})
        smart = "name__startswith=web-"
        self.make(
            "inventories", name="All web servers", organization=company, kind="smart", host_filter=smart, variables=""
        )
        self.source = self.make(
            "inventory_sources",
            name="Cloud servers",
            inventory=self.staging["id"],
            source="scm",
            source_project=self.base["id"],
            source_path="inventories/staging.ini",
        )
        for action in ("use_role", "adhoc_role", "update_role"):
            self._grant(self.production, action, "teams", self.operations)

    def sow_templates(self) -> None:
        survey = {
            "name": "",
            "description": "",
            "spec": [
                _question("release", "Which release?", "text", required=True, min=3, max=20),
                _question(
                    "environment", "Where to?", "multiplechoice", required=True, choices=["staging", "production"]
                ),
                _question("batch", "How many hosts at once?", "integer", default=2, min=1, max=8),
                _question("approval_code", "Code of the change", "password"),
            ],
        }
        self.deploy = self._template(
            "Deploy web shop", self.shop, self.production, "deploy.yml", survey_enabled=True, ask_limit_on_launch=True
        )
        self.deploy["limit"] = "web:balancers"
        self.deploy["_survey"] = survey
        self.patch = self._template(
            "Patch servers",
            self.base,
            self.production,
            "patch.yml",
            ask_limit_on_launch=True,
            ask_job_type_on_launch=True,
            ask_variables_on_launch=True,
        )
        self.backup = self._template("Back up databases", self.base, self.production, "backup.yml", limit="databases")
        self.certificates = self._template("Renew certificates", self.base, self.production, "certificates.yml")
        self.facts = self._template(
            "Gather facts", self.base, self.production, "facts.yml", use_fact_cache=True, allow_simultaneous=True
        )
        self.facts["limit"] = "all:!legacy-*"
        self.report = self._template("Fleet report", self.base, self.staging, "report.yml", limit="stage-web-01")
        self.hello = self._template("Hello", self.manual, self.small, "hello.yml")
        self._template(
            "Ad hoc deploy", self.shop, None, "deploy.yml", ask_inventory_on_launch=True, ask_limit_on_launch=True
        )
        for template in (self.deploy, self.patch, self.backup):
            self.store.link(template, "credentials", self.machine)
        self.store.link(self.deploy, "credentials", self.vault)
        label = self.make("labels", name="production", organization=self.company["id"])
        self.store.link(self.deploy, "labels", label)
        for template in (self.deploy, self.patch, self.backup, self.facts):
            self._grant(template, "execute_role", "teams", self.operations)
        self._grant(self.backup, "read_role", "users", self._named("vera"))

    def sow_workflows(self) -> None:
        company = self.company["id"]
        self.release = self.make(
            "workflow_job_templates",
            name="Release the shop",
            organization=company,
            extra_vars="",
            ask_variables_on_launch=True,
        )
        self.release["description"] = "Back up, ask for approval, deploy; patch only if that failed"
        approval = self.make(
            "workflow_approval_templates",
            name="Approve the release",
            description="Is the change window open?",
            timeout=3600,
            _workflow_job_template=self.release["id"],
        )
        facts = self._node("prepare", self.facts)
        gate = self._node("gate", approval)
        hello = self._node("deploy", self.hello)
        rescue = self._node("rescue", self.patch)
        self.store.link(facts, "success_nodes", gate)
        self.store.link(gate, "success_nodes", hello)
        self.store.link(hello, "failure_nodes", rescue)
        for role in ("execute_role", "approval_role"):
            self._grant(self.release, role, "teams", self.operations)

    def sow_schedules(self) -> None:
        for name, template, rule, enabled in (
            (
                "Nightly backup",
                self.backup,
                "DTSTART;TZID=Europe/Zurich:20261101T023000 RRULE:FREQ=DAILY;INTERVAL=1",
                True,
            ),
            (
                "Patch day",
                self.patch,
                "DTSTART;TZID=Europe/Zurich:20261103T220000 RRULE:FREQ=WEEKLY;INTERVAL=1;BYDAY=TU",
                True,
            ),
            ("Hourly facts", self.facts, "DTSTART:20261101T000500Z RRULE:FREQ=HOURLY;INTERVAL=1", False),
        ):
            self._schedule(name, template, rule, enabled)

    def sow_notifications(self) -> None:
        url: dict[str, Any] = {
            "url": "https://chat.alpenkraft.example/hook",
            "headers": {},
            "username": "",
            "password": "",
            "http_method": "POST",
        }
        hook = self.make(
            "notification_templates",
            name="On-call channel",
            organization=self.company["id"],
            notification_type="webhook",
            notification_configuration={**url, "disable_ssl_verification": False},
        )
        self.store.link(self.backup, "notification_templates_error", hook)

    def sow_history(self) -> None:
        """Two weeks of jobs: backups fail for a full disk, patches miss one host, the rest is well."""
        now = self.world.now()
        for day in range(13, -1, -1):
            self._past(self.backup, now - timedelta(days=day, hours=9))
            self._past(self.facts, now - timedelta(days=day, hours=6))
        self._past(self.patch, now - timedelta(days=4))
        variables = {"release": "2026.11.2", "environment": "production", "batch": 2}
        self._past(self.deploy, now - timedelta(days=2), extra_vars=variables)
        self._past(self.certificates, now - timedelta(hours=30))
        self._past(self.report, now - timedelta(hours=4))
        self._past(self.hello, now - timedelta(hours=1))

    def _past(self, template: Row, at: datetime, **given: Any) -> Row:
        """A job that ended long ago, told to the end at once."""
        job = run(
            self.world,
            template,
            self._named("nora"),
            given,
            created=at,
            launch_type="scheduled" if not given else "manual",
        )
        self.life.replay(job, at)
        return job

    def _user(self, name: str, first: str, last: str, superuser: bool, auditor: bool) -> Row:
        return self.make(
            "users",
            username=name,
            first_name=first,
            last_name=last,
            email=f"{name}@alpenkraft.example",
            is_superuser=superuser,
            is_system_auditor=auditor,
            _password=PASSWORD,
        )

    def _token(self, user: Row, text: str, scope: str, about: str) -> None:
        expires = self.world.now() + timedelta(days=365_000)
        self.store.add("tokens", description=about, user=user["id"], scope=scope, expires=expires, _token=text)

    def _named(self, name: str) -> Row:
        return self.store.find("users", username=name) or self.admin

    def _grant(self, row: Row, role: str, name: str, holder: Row) -> None:
        self.store.link(self.world.role(row, role), name, holder)

    def _credential(self, name: str, kind: str, inputs: Mapping[str, str]) -> Row:
        type_ = self.store.find("credential_types", name=kind)
        assert type_ is not None
        secret = {one["id"] for one in type_["inputs"]["fields"] if one.get("secret")}
        company = self.company["id"]
        row = self.make(
            "credentials",
            name=name,
            credential_type=type_["id"],
            organization=company,
            inputs=dict(inputs),
            _secret=secret,
        )
        row["kind"] = type_["kind"]
        return row

    def _hosts(self, inventory: Row, groups: Mapping[str, Sequence[str]]) -> None:
        for name, hosts in groups.items():
            group = self.make("groups", name=name, inventory=inventory["id"], variables=json.dumps({"tier": name}))
            for number, host in enumerate(hosts, 1):
                variables = json.dumps({"ansible_host": f"{host}.alpenkraft.example", "rack": f"R{number % 3 + 1}"})
                row = self.make("hosts", name=host, inventory=inventory["id"], variables=variables)
                self.store.link(group, "hosts", row)
                if not host.startswith("legacy"):
                    row.update(_facts=effects.facts(row), ansible_facts_modified=self.began)

    def _template(self, name: str, project: Row, inventory: Row | None, playbook: str, **more: Any) -> Row:
        return self.make(
            "job_templates",
            name=name,
            project=project["id"],
            inventory=None if inventory is None else inventory["id"],
            organization=project["organization"],
            playbook=playbook,
            job_type="run",
            **more,
        )

    def _node(self, identifier: str, template: Row) -> Row:
        return self.make(
            "workflow_job_template_nodes",
            identifier=identifier,
            workflow_job_template=self.release["id"],
            unified_job_template=template["id"],
        )

    def _schedule(self, name: str, template: Row, rule: str, enabled: bool) -> None:
        read = rrules.read(rule)
        self.make(
            "schedules",
            name=name,
            unified_job_template=template["id"],
            rrule=rule,
            enabled=enabled,
            dtstart=read.start,
            dtend=read.end(),
            timezone=read.zone,
            next_run=read.next_after(self.world.now()) if enabled else None,
        )


def _question(variable: str, text: str, kind: str, **more: Any) -> dict[str, Any]:
    base = {
        "variable": variable,
        "question_name": text,
        "question_description": "",
        "type": kind,
        "required": False,
        "default": "",
    }
    return {**base, **more}
