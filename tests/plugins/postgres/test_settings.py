"""Settings and targets: clear refusals, and no secret anywhere."""

import subprocess
import sys
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from pegboard.pools import Pools
from pegboard_postgres import POSTGRES, Settings, Target

SECRET = "hunter2-s3cret"


@pytest.mark.parametrize(
    ("dsn", "shown"),
    [
        (f"postgresql://bob:{SECRET}@db.example.com:6543/shop", "postgresql://db.example.com:6543/shop"),
        (f"postgres://bob:{SECRET}@db/shop?password={SECRET}", "postgresql://db/shop"),
        (f"postgresql://bob:{SECRET}@[::1]:5432/shop", "postgresql://[::1]:5432/shop"),
        (f"postgresql://bob:{SECRET}@one:1,two:2/shop", "postgresql://one:1,two:2/shop"),
        (f"postgresql://bob:{SECRET}@/shop?host=/run/postgresql", "postgresql:///shop"),
        (f"postgresql://bob:{SECRET}@x@db/shop", "postgresql://db/shop"),
        (f"postgresql://bob:/{SECRET}/@db/shop", "postgresql://db/shop"),
        (f"postgresql://bob:?{SECRET}@db/shop", "postgresql:///"),
        (f"host=db password={SECRET}", "postgresql:///"),
        ("postgresql://", "postgresql:///"),
    ],
)
def test_a_target_is_named_without_secrets(dsn: str, shown: str) -> None:
    assert POSTGRES.describe(dsn) == POSTGRES.describe(Target(dsn)) == str(Target(dsn)) == shown
    assert SECRET not in repr(Target(dsn))


@pytest.mark.parametrize(
    ("dsn", "host", "port"),
    [
        ("postgresql://db:6543/shop", "db", 6543),
        ("postgresql://u@[::1]:5/shop", "::1", 5),
        ("postgresql://u@[::1]/shop", "::1", 5432),
        ("postgresql://db/shop", "db", 5432),
        ("postgresql:///shop", "", 5432),
    ],
)
def test_a_target_knows_its_host_and_port(dsn: str, host: str, port: int) -> None:
    assert (Target(dsn).host, Target(dsn).port, Target(dsn).database) == (host, port, "shop")


async def test_a_dsn_and_its_target_share_one_pool_and_other_bounds_do_not() -> None:
    dsn = f"postgresql://bob:{SECRET}@127.0.0.1:1/shop"
    async with Pools() as pools:
        first = await pools.get(POSTGRES, dsn)
        same = await pools.get(POSTGRES, Settings(dsn=SecretStr(dsn)).target)
        other = await pools.get(POSTGRES, Target(dsn, max_connections=1))

        assert first is same
        assert first is not other
        assert Target(dsn) != 1
        assert SECRET not in repr(pools.states())


@pytest.mark.parametrize(
    ("settings", "location"),
    [
        ({}, "dsn"),
        ({"dsn": f"mysql://bob:{SECRET}@db/shop"}, "dsn"),
        ({"dsn": ""}, "dsn"),
        ({"dsn": f"postgresql://bob:?{SECRET}@db/shop"}, "dsn"),
        ({"dsn": f"postgresql://bob:@{SECRET}@db/shop"}, "dsn"),
        ({"dsn": f"postgresql://bob:/{SECRET}@db/shop"}, "dsn"),
        ({"dsn": f"postgresql://bob:#{SECRET}@db/shop"}, "dsn"),
        ({"dsn": "postgresql://db/shop", "max_connections": 0}, "max_connections"),
        ({"dsn": "postgresql://db/shop", "statement_timeout": 0}, "statement_timeout"),
        ({"dsn": "postgresql://db/shop", "max_cost": 0}, "max_cost"),
        ({"dsn": "postgresql://db/shop", "prepared_statements": -1}, "prepared_statements"),
        ({"dsn": "postgresql://db/shop", "hots": "x"}, "hots"),
    ],
)
def test_wrong_settings_are_refused_at_the_key(settings: dict[str, Any], location: str) -> None:
    with pytest.raises(ValidationError) as error:
        Settings(**settings)

    (detail,) = error.value.errors(include_input=False)
    assert detail["loc"] == (location,)
    assert SECRET not in detail["msg"]


def test_every_setting_is_described() -> None:
    assert all(field.description for field in Settings.model_fields.values())
    assert SECRET not in repr(Settings(dsn=SecretStr(f"postgresql://bob:{SECRET}@db/shop")))


def test_importing_the_plugin_does_not_load_the_driver() -> None:
    program = "import sys, pegboard_postgres; sys.exit('asyncpg' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
