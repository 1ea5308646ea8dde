"""Fixtures: servers whose passwords are canaries, and settings that have a canary in every secret."""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

import pytest
import redis

from app.settings import NEVER_SHOWN
from app.tokens import Token, entry, hash_of
from tests.binaries import valkey_binary
from tests.databases import execute, migrate
from tests.faults.conftest import ON_DISK
from tests.guardian import guardian
from tests.ports import LOOPBACK
from tests.secrets.canaries import Canary
from tests.servers import PostgresServer, RedisServer

HBA = f"host all postgres {LOOPBACK}/32 trust\nhost all all {LOOPBACK}/32 scram-sha-256\n"
USER = "collector"

Env = dict[str, str]


@dataclass(frozen=True, kw_only=True)
class House:
    """What opens doors: a canary for each secret setting, and those that clients have."""

    settings: Mapping[str, Canary]
    right: Canary  # a token that is declared
    wrong: Canary  # one that is not
    database: int  # ports
    redis: int

    @property
    def canaries(self) -> list[Canary]:
        return [*self.settings.values(), self.right, self.wrong, Canary("the hash", hash_of(self.right.text)[7:])]

    def url(self, scheme: str, port: int, secret: Canary, rest: str) -> str:
        return f"{scheme}://{USER}:{quote(secret.text, safe='')}@{LOOPBACK}:{port}/{rest}"

    def environment(self, *, database: int | None = None, redis: int | None = None) -> Env:
        """Every secret setting, as one would give it. The ports may be others."""
        ports = {"database": database or self.database, "redis": redis or self.redis}
        return {name.upper(): self._value(name, **ports) for name in self.settings}

    def strange(self) -> "House":
        """One whose secrets open nothing here."""
        settings = {name: Canary(f"a wrong {name.upper()}") for name in self.settings}
        return replace(self, settings=settings, right=Canary("another client's token"))

    def _value(self, name: str, database: int, redis: int) -> str:
        canary = self.settings[name]
        shapes: Mapping[str, Callable[[], str]] = {
            "postgres_connection_string": lambda: self.url("postgresql", database, canary, "postgres"),
            "postgres_replica_connection_string": lambda: self.url("postgresql", database, canary, "postgres"),
            "redis_url": lambda: self.url("redis", redis, canary, "0"),
            "spool_url": lambda: self.url("redis", redis, canary, "0"),
            "hooks": lambda: json.dumps({"github": {"kind": "github", "secrets": [canary.text]}}),
            "tokens": self.declared,
        }
        # A setting that is new is given its canary as it is: where that cannot be right, it needs a shape here.
        return shapes.get(name, lambda: canary.text)()

    def declared(self) -> str:
        """An entry for the right token."""
        return entry(
            Token(
                name="web",
                hash=hash_of(self.right.text),
                scopes=("read", "write"),
                sources=("web*", "collector.probe/*"),
            )
        )


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    """A PostgreSQL with the schema and a Redis that can be a spool, which let in who knows the canaries."""
    settings = {name: Canary(name.upper()) for name in sorted(NEVER_SHOWN)}
    hba = guardian().new_folder("hba") / "pg_hba.conf"
    hba.write_text(HBA)
    hba.chmod(0o644)
    with (
        PostgresServer(settings={"hba_file": str(hba)}) as postgres,
        RedisServer(settings=ON_DISK, binary=valkey_binary()) as cache,
    ):
        migrate(postgres.url())
        password = settings["postgres_connection_string"].text
        asyncio.run(execute(postgres.url(), f"CREATE ROLE {USER} SUPERUSER LOGIN PASSWORD '{password}'"))
        passwords = [settings[name].text for name in ("redis_url", "spool_url")]
        with redis.Redis.from_url(cache.url()) as client:
            client.acl_setuser(
                USER,
                enabled=True,
                passwords=[f"+{one}" for one in passwords],
                keys="*",
                channels="*",
                commands=["+@all"],
            )
        yield House(
            settings=settings,
            right=Canary("a client's token"),
            wrong=Canary("a token of nobody"),
            database=postgres.port,
            redis=cache.port,
        )


@pytest.fixture
def tokens_file(house: House, tmp_path: Path) -> Path:
    """A file that declares the right token."""
    path = tmp_path / "tokens"
    path.write_text(f"{house.declared()}\n")
    return path
