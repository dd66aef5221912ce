"""compose.yaml: read by the reader of `docker compose`, with its profiles, and true to the files that it names."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import pytest
import yaml
from asyncpg.exceptions import (  # pyright: ignore[reportMissingTypeStubs] # the driver has no types
    InsufficientPrivilegeError,
    ReadOnlySQLTransactionError,
)
from tests.deploy.configurations import checked, filled
from tests.deploy.programs import DEPLOY, compose_reader, output_of
from tests.system.unpacked import program_of

from pegboard_postgres.embedded import Embedded, connected

PROFILES = {"single": {"hub"}, "replicas": {"hub-1", "hub-2", "hub-3", "haproxy", "redis"}}
ALWAYS = {"postgres", "qdrant", "neo4j", "prometheus", "grafana"}
WRITES_ITS_OWN_FILES = {"neo4j"}
PASSWORD = "s'ecret"

Service = dict[str, Any]


@pytest.fixture(scope="module")
def project() -> Any:
    """The whole file as `docker compose config` reads it; what is not said anywhere would be an error."""
    said = output_of(compose_reader(), "-format", "json", DEPLOY / "compose.yaml", folder=DEPLOY)
    return json.loads(said)


@pytest.fixture(scope="module")
def services(project: Any) -> dict[str, Service]:
    return project["services"]


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """The folder that deploy/secrets.sh makes."""
    output_of(DEPLOY / "secrets.sh", tmp_path / "secrets")
    return tmp_path / "secrets"


def test_a_profile_has_its_services(services: dict[str, Service]) -> None:
    for profile, wanted in PROFILES.items():
        assert {name for name, service in services.items() if profile in service.get("profiles", ())} == wanted
    assert {name for name, service in services.items() if "profiles" not in service} == ALWAYS
    assert "COMPOSE_PROFILES=single" in (DEPLOY / ".env").read_text().splitlines()


def test_every_variable_has_a_default() -> None:
    said = subprocess.run(
        [compose_reader(), str(DEPLOY / "compose.yaml")], cwd=DEPLOY, capture_output=True, timeout=60, check=True
    )
    assert b"not set" not in said.stderr


def test_a_mistake_is_found(tmp_path: Path) -> None:
    """The reader is the real one: it does not take what Compose would not."""
    (tmp_path / "compose.yaml").write_text("services: {hub: {image: pegboard, read_onyl: true}}")

    done = subprocess.run([compose_reader(), "compose.yaml"], cwd=tmp_path, capture_output=True, timeout=60)

    assert done.returncode == 1
    assert b"read_onyl" in done.stderr


def test_every_service_is_confined(services: dict[str, Service]) -> None:
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service.get("read_only", False) is (name not in WRITES_ITS_OWN_FILES), name
        limits = service["deploy"]["resources"]["limits"]
        assert limits.keys() == {"cpus", "memory", "pids"}, name
        assert not service.get("privileged"), name


def test_nothing_is_published_but_on_this_machine(services: dict[str, Service]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", ())]

    assert {port["host_ip"] for port in ports} == {"127.0.0.1"}
    assert {port["target"] for port in ports} == {8000, 8443, 3000}


def test_who_needs_another_waits_until_that_is_healthy(services: dict[str, Service]) -> None:
    for name, service in services.items():
        for other, condition in service.get("depends_on", {}).items():
            assert condition["condition"] == "service_healthy", (name, other)
            assert "healthcheck" in services[other] or "build" in services[other], other


def test_every_file_and_secret_is_there(project: Any, services: dict[str, Service], secrets: Path) -> None:
    for service in services.values():
        for volume in service.get("volumes", ()):
            assert volume["type"] != "bind" or Path(volume["source"]).is_file(), volume
    wanted = {Path(secret["file"]).name for secret in project["secrets"].values()}
    assert wanted - {path.name for path in secrets.iterdir()} == {"certificate.pem", "metrics_key"}
    used = {secret["source"] for service in services.values() for secret in service.get("secrets", ())}
    assert used == project["secrets"].keys()


def test_secrets_are_made_once_and_are_nobody_elses(secrets: Path) -> None:
    before = {file.name: file.read_bytes() for file in secrets.iterdir()}
    output_of(DEPLOY / "secrets.sh", secrets)

    assert {file.name: file.read_bytes() for file in secrets.iterdir()} == before
    assert secrets.stat().st_mode & 0o077 == 0
    assert len(before["server_secret"]) == 48
    assert b"reader:" + before["reader_password"] in before["postgres_dsn"]
    assert before["qdrant_key"] in before["qdrant_config.yaml"]
    assert before["redis_password"] in before["redis_url"]
    assert before[".gitignore"] == b"*\n"


def test_no_secret_is_in_a_variable(services: dict[str, Service]) -> None:
    """But by the name of a file that has it."""
    for name, service in services.items():
        variables: dict[str, str] = service.get("environment") or {}
        for variable, value in variables.items():
            assert not re.search("PASSWORD|SECRET|TOKEN|AUTH|REDIS", variable) or "/run/secrets/" in value, name


@pytest.mark.parametrize("service", ["hub", "hub-2"])
def test_the_hub_takes_its_configuration(services: dict[str, Service], service: str, tmp_path: Path) -> None:
    (source,) = [Path(volume["source"]) for volume in services[service]["volumes"] if volume["type"] == "bind"]
    assert source == DEPLOY / "compose" / "pegboard.toml"
    text = source.read_text()
    named = set(re.findall(r"/run/secrets/(\w+)", f"{text} {services[service]['environment']}"))
    assert named == {secret["source"] for secret in services[service]["secrets"]}

    file = filled(text, tmp_path)
    given = services[service]["environment"]
    (tmp_path / "run/secrets/redis_url").write_text("redis://127.0.0.1:1/0")
    environ = {name: value.replace("/run/", f"{tmp_path}/run/") for name, value in given.items()}
    assert checked(file, environ) == []


def test_a_replica_is_called_as_the_proxy_calls_it(services: dict[str, Service]) -> None:
    called = services["haproxy"]["environment"]
    for number in (1, 2, 3):
        replica = services[f"hub-{number}"]["environment"]
        assert replica["PEGBOARD_SERVER_REPLICA"] == f"hub-{number}"
        assert called[f"HUB_{number}"] == f"hub-{number}:8000"
        assert f"hub-{number}" in replica["PEGBOARD_SERVER_ALLOWED_HOSTS"].split(",")
    assert f"server hub-{number}" in (DEPLOY / "proxies" / "haproxy.cfg").read_text()


def test_the_hub_has_longer_to_stop_than_its_calls(services: dict[str, Service]) -> None:
    for name in ("hub", "hub-1", "hub-2", "hub-3"):
        delay = services[name]["environment"].get("PEGBOARD_SERVER_DRAIN_DELAY", "0")
        assert services[name]["stop_grace_period"] == "40s"
        assert int(delay) + 30 + 5 <= 40


def test_prometheus_takes_its_configuration(tmp_path: Path) -> None:
    promtool = program_of("promtool", "prometheus")
    text = (DEPLOY / "compose" / "prometheus.yml").read_text()
    (tmp_path / "key").write_text("peg_key")
    (tmp_path / "alerts.yml").write_text((DEPLOY / "prometheus" / "alerts.yml").read_text())
    (tmp_path / "prometheus.yml").write_text(text.replace("/run/secrets/metrics_key", str(tmp_path / "key")))

    output_of(promtool, "check", "config", tmp_path / "prometheus.yml")


def test_grafana_finds_the_dashboard_where_it_is_told_to_look(services: dict[str, Service]) -> None:
    placed = {volume["target"] for volume in services["grafana"]["volumes"]}
    (provider,) = yaml.safe_load((DEPLOY / "compose" / "grafana-dashboards.yaml").read_text())["providers"]
    (source,) = yaml.safe_load((DEPLOY / "compose" / "grafana-source.yaml").read_text())["datasources"]

    assert f"{provider['options']['path']}/pegboard.json" in placed
    assert source["type"] == "prometheus"
    assert source["url"] == "http://prometheus:9090"


async def test_the_databases_role_reads_and_nothing_else(private_postgres: Embedded, tmp_path: Path) -> None:
    """What the new database is told, by the real psql: the role reads what there will be, and cannot write."""
    admin = urlsplit(private_postgres.admin_dsn)
    ((host,), (port,)) = (parse_qs(admin.query)[name] for name in ("host", "port"))
    (tmp_path / "reader_password").write_text(PASSWORD)
    text = (DEPLOY / "compose" / "reader.sh").read_text().replace("/run/secrets", str(tmp_path))
    (tmp_path / "reader.sh").write_text(text)
    environ = {"PGHOST": host, "PGPORT": port, "PGPASSWORD": unquote(admin.password or ""), "POSTGRES_DB": "postgres"}
    output_of("bash", tmp_path / "reader.sh", environ=environ)

    where = f"@/postgres?host={quote(host)}&port={port}"
    async with connected(private_postgres.admin_dsn.partition("@")[0] + where) as owner:
        await owner.execute("CREATE TABLE goods AS SELECT 1 AS number")
    async with connected(f"postgresql://reader:{quote(PASSWORD)}{where}") as reader:
        assert await reader.fetchval("SELECT number FROM goods") == 1
        with pytest.raises(ReadOnlySQLTransactionError):
            await reader.execute("DELETE FROM goods")
        await reader.execute("SET default_transaction_read_only = off")
        with pytest.raises(InsufficientPrivilegeError):
            await reader.execute("DELETE FROM goods")
