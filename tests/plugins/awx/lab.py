"""The lab: a small AWX whose objects are called by name in the recorded requests."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pegboard_awx.double import Double, bare
from pegboard_awx.double.kinds import Row
from pegboard_awx.double.spawning import run
from pegboard_awx.double.world import World

START = datetime(2026, 11, 21, 11, 30, tzinfo=UTC)
ADMIN, PASSWORD = "admin", "alpenkraft"
VIEWER_PASSWORD = "look-only"
WRITE, READ = "lab-write-token", "lab-read-token"

SURVEY: list[dict[str, Any]] = [
    {"question_name": "Greeting", "question_description": "How to greet", "required": True, "type": "text"}
    | {"variable": "greeting", "min": 2, "max": 10, "default": ""},
    {"question_name": "Environment", "question_description": "", "required": True, "type": "multiplechoice"}
    | {"variable": "env_name", "choices": ["dev", "prod"], "default": "dev"},
    {"question_name": "Count", "question_description": "", "required": False, "type": "integer"}
    | {"variable": "count", "min": 1, "max": 5, "default": 1},
    {"question_name": "Secret", "question_description": "", "required": False, "type": "password"}
    | {"variable": "secret", "default": ""},
]


@dataclass
class Lab:
    """The double, and the ids of its objects by the names of the lab."""

    double: Double
    rows: dict[str, Row] = field(default_factory=dict[str, Row])

    @property
    def world(self) -> World:
        return self.double.world

    @property
    def ids(self) -> Mapping[str, int]:
        return {name: row["id"] for name, row in self.rows.items()}

    def make(self, name: str, collection: str, /, **values: Any) -> Row:
        self.rows[name] = self.world.make(collection, self.rows["admin"], **values)
        return self.rows[name]

    def launch(self, name: str, template: str, /, *, seconds: float = 0, **given: Any) -> Row:
        """Start a template and let some seconds pass."""
        job = self.double.life.start(run(self.world, self.rows[template], self.rows["admin"], given))
        self.rows[name] = job
        self.wait(seconds)
        return job

    def wait(self, seconds: float) -> None:
        self.double.clock.advance(seconds)
        self.double.life.settle()

    def grant(self, name: str, role: str, holder: str = "viewer") -> None:
        self.world.store.link(self.world.role(self.rows[name], role), "users", self.rows[holder])


def make_lab(*, platform: bool = False) -> Lab:
    """A lab of its own, with stopped clock."""
    lab = Lab(Double(platform=platform, speed=0, start=START, seed=bare))
    admin = lab.world.store.find("users", username=ADMIN)
    assert admin is not None
    lab.rows["admin"] = admin
    _people(lab)
    _inventories(lab)
    _projects(lab)
    _templates(lab)
    _others(lab)
    _workflow(lab)
    _jobs(lab)
    return lab


def _people(lab: Lab) -> None:
    store = lab.world.store
    lab.make("default", "organizations", name="Default")
    lab.make("lab", "organizations", name="Lab", description="Lab org")
    lab.make("temp_org", "organizations", name="Temp")
    lab.make("viewer", "users", username="viewer", first_name="View", last_name="Only", _password=VIEWER_PASSWORD)
    lab.make("temp_user", "users", username="temp", _password="x")
    lab.make("ops", "teams", name="Ops", organization=lab.ids["lab"], description="ops")
    for text, scope in ((WRITE, "write"), (READ, "read")):
        lab.rows["token"] = store.add(
            "tokens", user=lab.ids["admin"], scope=scope, _token=text, description="mcp", expires=lab.world.now()
        )
    definition = store.find("role_definitions", name="Inventory Ad Hoc")
    assert definition is not None
    lab.rows["adhoc_definition"] = definition
    target = lab.make("assigned", "organizations", name="Assigned")
    store.add(
        "role_user_assignments",
        role_definition=definition["id"],
        user=lab.ids["viewer"],
        object_id=str(target["id"]),
        content_type="shared.organization",
        created_by=lab.ids["admin"],
        _of=("organizations", target["id"]),
    )


def _inventories(lab: Lab) -> None:
    organization = lab.ids["lab"]
    lab.make("demo_inventory", "inventories", name="Demo", organization=lab.ids["default"])
    lab.make("inventory", "inventories", name="Lab inventory", organization=organization, variables='{"site": "lab"}')
    lab.make("small", "inventories", name="Small", organization=organization)
    lab.make("constructed", "inventories", name="Built", organization=organization, kind="constructed")
    lab.make("temp_inventory", "inventories", name="Temp", organization=organization)
    for name in ("node1", "node2"):
        lab.make(name, "hosts", name=name, inventory=lab.ids["inventory"], variables="ansible_connection: local\n")
    for number in range(60):
        lab.make(f"bulk{number}", "hosts", name=f"bulk{number:03}", inventory=lab.ids["inventory"], enabled=False)
    for name in ("alpha", "beta", "temp_host"):
        lab.make(name, "hosts", name=name, inventory=lab.ids["small"], _facts={"ansible_system": "Linux"})
    lab.make("web", "groups", name="web", inventory=lab.ids["small"], variables='{"tier": "web"}')
    lab.world.store.link(lab.rows["web"], "hosts", lab.rows["alpha"])


def _projects(lab: Lab) -> None:
    organization, url = lab.ids["lab"], "file:///srv/git"
    lab.make("manual", "projects", name="Lab manual", organization=organization, local_path="lab", status="ok")
    git = {"scm_type": "git", "scm_branch": "main"}
    lab.make("git", "projects", name="Lab git", organization=organization, scm_url=f"{url}/lab", **git)
    lab.make(
        "broken", "projects", name="Broken", organization=organization, scm_url=f"{url}/nosuch", _fails=True, **git
    )
    scm = {"source": "scm", "source_path": "inventories/hosts.ini", "source_project": lab.ids["git"]}
    lab.make("source", "inventory_sources", name="From git", inventory=lab.ids["small"], **scm)


def _templates(lab: Lab) -> None:
    asked = {
        f"ask_{name}_on_launch": True
        for name in ("variables", "limit", "tags", "job_type", "verbosity", "inventory", "credential")
    }
    for name, title, playbook, inventory, more in (
        ("hello", "Hello", "hello.yml", "inventory", {}),
        ("failing", "Failing", "fail.yml", "small", {}),
        ("slow", "Slow", "deploy.yml", "small", {}),
        ("prompted", "Prompted", "hello.yml", "small", asked),
        ("surveyed", "Surveyed", "hello.yml", "small", {"survey_enabled": True}),
        ("homeless", "Homeless", "hello.yml", None, {"ask_inventory_on_launch": True}),
        ("copy", "Hello copy", "hello.yml", "inventory", {}),
        ("serial", "SlowSerial", "deploy.yml", "inventory", {}),
        ("mixed", "Mixed", "certificates.yml", "small", {}),
        ("big", "Big output", "report.yml", "small", {}),
    ):
        lab.make(
            name,
            "job_templates",
            name=title,
            playbook=playbook,
            project=lab.ids["manual"],
            organization=lab.ids["lab"],
            inventory=None if inventory is None else lab.ids[inventory],
            job_type="run",
            **more,
        )
    lab.rows["surveyed"]["_survey"] = {"name": "", "description": "", "spec": SURVEY}
    for role in ("execute_role", "read_role"):
        lab.rows[role] = lab.world.role(lab.rows["hello"], role)


def _others(lab: Lab) -> None:
    store = lab.world.store
    machine = store.find("credential_types", name="Machine")
    assert machine is not None
    lab.rows["machine"] = machine
    lab.make(
        "credential",
        "credentials",
        name="Lab machine",
        credential_type=machine["id"],
        organization=lab.ids["lab"],
        inputs={"username": "root", "password": "hunter2"},
        kind="ssh",
        _secret={"password"},
    )
    where = {"url": "http://127.0.0.1:9/hook", "headers": {"X-Lab": "1"}, "password": "", "username": ""}
    lab.make(
        "hook",
        "notification_templates",
        name="Hook",
        organization=lab.ids["lab"],
        notification_type="webhook",
        notification_configuration={**where, "http_method": "POST", "disable_ssl_verification": False},
    )
    lab.make("environment", "execution_environments", name="Temp EE", image="registry.example.com/ee:1")
    lab.make("edge", "instance_groups", name="edge-1")
    for name, collection, values in (
        ("controlplane", "instance_groups", {"name": "controlplane"}),
        ("instance", "instances", {}),
        ("cleanup", "system_job_templates", {"job_type": "cleanup_activitystream"}),
    ):
        row = store.find(collection, **values)
        assert row is not None
        lab.rows[name] = row
    lab.rows["activity"] = store.all("activity_stream")[-1]
    lab.make(
        "schedule",
        "schedules",
        name="Daily",
        unified_job_template=lab.ids["hello"],
        rrule="DTSTART;TZID=Europe/Zurich:20270101T030000 RRULE:FREQ=DAILY;INTERVAL=1",
        dtstart=START,
        next_run=START,
        timezone="Europe/Zurich",
    )


def _workflow(lab: Lab) -> None:
    lab.make(
        "release", "workflow_job_templates", name="Release", organization=lab.ids["lab"], ask_variables_on_launch=True
    )
    workflow = {"_workflow_job_template": lab.ids["release"]}
    lab.make(
        "gatekeeper", "workflow_approval_templates", name="Approve release", description="go?", timeout=600, **workflow
    )
    for name, template in (("prepare", "hello"), ("gate", "gatekeeper"), ("last", "hello")):
        lab.make(
            name,
            "workflow_job_template_nodes",
            identifier=name,
            workflow_job_template=lab.ids["release"],
            unified_job_template=lab.ids[template],
        )
    for parent, child in (("prepare", "gate"), ("gate", "last")):
        lab.world.store.link(lab.rows[parent], "success_nodes", lab.rows[child])


def _jobs(lab: Lab) -> None:
    lab.launch("project_update", "git", seconds=5)
    lab.launch("failed_update", "broken", seconds=5)
    lab.rows["failed_update"]["_fails"] = True
    lab.launch("inventory_update", "source", seconds=6)
    lab.launch("hello_job", "hello", seconds=5)
    lab.launch("survey_job", "surveyed", seconds=5)
    lab.launch("failed_job", "failing", seconds=5)
    lab.launch("mixed_job", "mixed", seconds=20)
    lab.launch("big_job", "big", seconds=20)
    lab.rows["command"] = lab.double.life.start(
        lab.world.store.add(
            "ad_hoc_commands",
            name="ping",
            inventory=lab.ids["small"],
            credential=lab.ids["credential"],
            module_name="ping",
            limit="alpha:beta",
            job_type="run",
            launch_type="manual",
            status="new",
            _by=lab.ids["admin"],
        )
    )
    lab.wait(5)
    lab.launch("workflow_job", "release", seconds=5, extra_vars={"version": "1.2.3"})
    lab.rows["approval"] = lab.world.store.all("workflow_approvals")[0]
    lab.launch("serial_job", "serial")
    lab.launch("blocked_job", "serial")
    lab.launch("slow_job", "slow", seconds=30)
