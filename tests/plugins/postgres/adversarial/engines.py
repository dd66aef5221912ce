"""A bank on a real server, and everything about it that no reader may change."""

import hashlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conftest import open_folder

from pegboard_postgres.embedded import connected

SETUP = (Path(__file__).parent / "bank.sql").read_text(encoding="utf-8")
EXTENSIONS = ("dblink", "tablefunc", "adminpack")
"""Installed where the server brings them, since they can do harm."""

TABLES = """SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'm', 'S')
AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema' ORDER BY 1"""

CATALOGS = """pg_authid pg_auth_members pg_database pg_db_role_setting pg_namespace pg_class pg_attribute pg_attrdef
pg_proc pg_operator pg_cast pg_type pg_enum pg_constraint pg_trigger pg_rewrite pg_policy pg_extension pg_language
pg_largeobject pg_largeobject_metadata pg_description pg_seclabel pg_default_acl pg_publication pg_subscription
pg_replication_origin pg_foreign_server pg_event_trigger pg_collation pg_statistic_ext pg_tablespace"""

MOVING = "relpages reltuples relallvisible relallfrozen relfrozenxid relminmxid relhasindex datfrozenxid datminmxid"
"""Columns that a vacuum in the background changes."""

SERVER = """SELECT jsonb_build_object(
'settings', (SELECT md5(string_agg(name || '=' || setting, ',' ORDER BY name)) FROM pg_settings),
'large objects', (SELECT count(*) FROM pg_largeobject_metadata),
'advisory locks', (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'),
'locks on accounts', (SELECT count(*) FROM pg_locks WHERE mode <> 'AccessShareLock' AND relation = 'account'::regclass),
'running', (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active'),
'slots', (SELECT count(*) FROM pg_replication_slots),
'prepared', (SELECT count(*) FROM pg_prepared_xacts))::text"""

FILES = ("postgresql.conf", "postgresql.auto.conf", "pg_hba.conf", "pg_ident.conf", "standby.signal", "backup_label")


@dataclass(frozen=True, slots=True)
class Bank:
    """A database full of traps, seen by a superuser; `scratch` is a folder its server can write."""

    major: int
    dsn: str
    data: Path
    scratch: Path

    @property
    def file(self) -> Path:
        """Where hostile statements would write to."""
        return self.scratch / "harm"


class Watch:
    """Sees whether anything has changed since it began."""

    def __init__(self, bank: Bank, admin: Any, bystander: Any) -> None:
        self.bank = bank
        self.admin = admin
        self.bystander = bystander
        self.heard: list[Any] = []

    def hear(self, *message: Any) -> None:
        self.heard.append(message)

    async def state(self) -> Mapping[str, Any]:
        """Checksums of rows and files, and what goes on at the server."""
        tables = [record[0] for record in await self.admin.fetch(TABLES)]
        return {
            "rows": await self._checksums(tables),
            "server": await self.admin.fetchval(SERVER),
            "files": self._files(),
            "bystander": await self.bystander.fetchval("SELECT pg_backend_pid()"),
            "heard": list(self.heard),
        }

    async def catalogs(self) -> Mapping[str, str]:
        """Checksums of everything that is defined: roles, settings of roles and databases, functions, tables, ..."""
        return await self._checksums(CATALOGS.split())

    async def _checksums(self, tables: Sequence[str]) -> Mapping[str, str]:
        found = await self.admin.fetch(" UNION ALL ".join(map(_checksum, tables)))
        return dict(zip(tables, (record[0] for record in found), strict=True))

    def _files(self) -> Mapping[str, str]:
        watched = [*self.bank.scratch.rglob("*"), *(self.bank.data / name for name in FILES)]
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in watched if path.is_file()}


def _checksum(table: str) -> str:
    row = f"md5((to_jsonb(t) - '{{{MOVING.replace(' ', ',')}}}'::text[])::text)"
    return f"SELECT md5(coalesce(string_agg({row}, ',' ORDER BY {row}), '')) FROM (TABLE {table}) AS t"


@asynccontextmanager
async def watched(bank: Bank) -> AsyncGenerator[Watch]:
    """Watch a bank, with a session beside it that somebody may try to end or to send something to."""
    async with connected(bank.dsn) as admin, connected(bank.dsn) as bystander:
        watch = Watch(bank, admin, bystander)
        await bystander.execute("SET application_name = 'bystander'")
        await bystander.add_listener("channel", watch.hear)
        yield watch


@asynccontextmanager
async def bank_on(admin_dsn: str, dsn: str) -> AsyncGenerator[Bank]:
    """Make the database of `dsn`, fill it, and drop it again."""
    with open_folder() as folder:
        scratch = folder / "scratch"
        scratch.mkdir()
        scratch.chmod(0o777)
        (scratch / "canary").write_text("sings")
        (scratch / "canary").chmod(0o666)
        async with connected(admin_dsn) as admin:
            await admin.execute("CREATE DATABASE bank")
            try:
                major, data = await _fill(dsn)
                yield Bank(major, dsn, data, scratch)
            finally:
                await admin.execute("DROP DATABASE bank WITH (FORCE)")


async def _fill(dsn: str) -> tuple[int, Path]:
    async with connected(dsn) as owner:
        await owner.execute(SETUP)
        available = "SELECT name FROM pg_available_extensions WHERE name = ANY($1)"
        for record in await owner.fetch(available, list(EXTENSIONS)):
            await owner.execute(f"CREATE EXTENSION {record['name']}")
        version = await owner.fetchval("SHOW server_version_num")
        return int(version) // 10_000, Path(await owner.fetchval("SHOW data_directory"))
