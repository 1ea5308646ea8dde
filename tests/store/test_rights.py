"""Rights: a role that may only keep and read is enough to serve, and can do no more."""

import secrets
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import asyncpg
import pytest

from app.errors import Unavailable
from app.query import Filter, PageQuery
from app.store import Doomed, Letter
from app.store.postgres import PostgresStore
from tests.databases import database_name, execute
from tests.store.bases import DAY, PostgresBase, postgres_store
from tests.store.make import event

# The least that `serve` needs; the first three are what PUBLIC has unless it was taken away.
GRANTS = (
    "CONNECT ON DATABASE {database}",
    "TEMPORARY ON DATABASE {database}",
    "USAGE ON SCHEMA public",
    "SELECT ON events",
    "INSERT ON events",
    "SELECT ON event_ids",
    "INSERT ON event_ids",
    "SELECT ON log_state",
    "SELECT ON schema_version",
    "SELECT ON source_rollup",
    "SELECT ON SEQUENCE event_seq",
    "UPDATE ON SEQUENCE event_seq",
    "EXECUTE ON FUNCTION collector_add_days(int)",
    "EXECUTE ON FUNCTION collector_drop_days(int)",
    "EXECUTE ON FUNCTION collector_purge_ids(int)",
    "EXECUTE ON FUNCTION collector_roll_up(int)",
    "EXECUTE ON FUNCTION collector_purge(bigint[], uuid[])",
)
FORBIDDEN = (
    "UPDATE events SET action = 'b'",
    "DELETE FROM events",
    "TRUNCATE events",
    "DROP TABLE events",
    "ALTER TABLE events ADD COLUMN more int",
    "UPDATE event_ids SET seq = 1",
    "DELETE FROM event_ids",
    "TRUNCATE event_ids",
    "UPDATE log_state SET purged_through = 1",
    "DELETE FROM log_state",
    "UPDATE source_rollup SET events = 1",
    "DELETE FROM source_rollup",
    "UPDATE schema_version SET revision = 9",
    "INSERT INTO schema_version VALUES (9, 9)",
    "CREATE TABLE mine ()",
    "CREATE SCHEMA mine",
    "CREATE INDEX ON events (action)",
    "DROP SEQUENCE event_seq",
    "DROP FUNCTION collector_add_days",
    "SELECT collector_add_day(current_date)",
    "SELECT * FROM alembic_version",
)


@pytest.fixture
async def role(postgres_url: str) -> AsyncIterator[str]:
    """A role that may do nothing at all in this database."""
    name = f"collector_role_{secrets.token_hex(4)}"
    # A server that wants a password gets its name, which is a secret for as long as it is there.
    await execute(postgres_url, f"CREATE ROLE {name} LOGIN NOSUPERUSER PASSWORD '{name}'")
    for what in (f"DATABASE {database_name(postgres_url)}", "SCHEMA public"):
        await execute(postgres_url, f"REVOKE ALL ON {what} FROM PUBLIC")
    yield name
    await execute(postgres_url, f"DROP OWNED BY {name}")
    await execute(postgres_url, f"DROP ROLE {name}")


async def granted(url: str, role: str, *, but: str = "") -> PostgresStore:
    """A store that connects as the role, which has all rights but one."""
    for grant in GRANTS:
        if grant != but:
            await execute(url, f"GRANT {grant.format(database=database_name(url))} TO {role}")
    return postgres_store(as_role(url, role))


def as_role(url: str, role: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=f"{role}:{role}@{parts.hostname}:{parts.port}").geturl()


async def everything_works(store: PostgresStore, base: PostgresBase) -> None:
    """All that `serve` does, also on a day that has no partition yet and with a clock that went back."""
    ahead = (await base.today() + 20) * DAY
    await base.rows("SELECT setval('event_seq', $1)", ahead)
    await base.put(DAY, "ancient")
    assert (await store.check(writing=True)).usable
    for count in (1, 150):
        group = [event(f"{count}/{n}") for n in range(count)]
        kept = await store.keep(group, strict=False)
        assert ({one.state for one in kept}, kept[0].seq > ahead) == ({"new"}, True)
        assert {one.state for one in await store.keep(group, strict=True)} == {"duplicate"}
    page = await store.reader.page(PageQuery(filter=Filter(text="a"), order="asc", cursor=0))
    assert (len(page.events), len(await store.reader.sources())) == (100, 2)
    assert not await store.roll_up()
    doomed = Doomed(source="s", before=datetime.now(UTC) + timedelta(days=1), through=ahead)
    assert await store.purger.tally(doomed) is None
    doomed = replace(doomed, through=await store.reader.head())
    assert await store.purger.delete(await store.purger.portion(doomed, kept[0].seq - 1)) == 150
    upkeep = await store.maintain(retention_days=3)
    assert (upkeep.days_ahead, upkeep.dropped_through) == (7, DAY)
    assert await base.rows("SELECT count(*) FROM event_ids") == [(1,)]


async def test_the_least_rights_are_enough_to_serve(postgres_base: PostgresBase, role: str) -> None:
    store = await granted(postgres_base.url, role)
    await everything_works(store, postgres_base)
    await store.close()


@pytest.mark.parametrize("grant", GRANTS)
async def test_every_one_of_them_is_needed(postgres_base: PostgresBase, role: str, grant: str) -> None:
    store = await granted(postgres_base.url, role, but=grant)
    with pytest.raises((Unavailable, AssertionError)):
        await everything_works(store, postgres_base)
    await store.close()


@pytest.mark.parametrize("missing", ["", "INSERT", "SELECT", "DELETE"])
async def test_a_worker_needs_its_rights_to_dead_letters(
    postgres_base: PostgresBase, role: str, missing: str
) -> None:
    for right in {"INSERT", "SELECT", "DELETE"} - {missing}:
        await execute(postgres_base.url, f"GRANT {right} ON dead_letters TO {role}")
    store = await granted(postgres_base.url, role)
    letter = Letter(
        id="1-0/0", at=datetime.now(UTC), source="s", event_id="1", reason="no", body=bytes(range(256))
    )
    try:
        await store.letters.add([letter])
        await store.letters.add([letter])
        assert await store.letters.page("", 10) == [letter]
        assert await store.letters.page(letter.id, 10) == []
        await store.letters.remove([letter.id])
        assert await store.letters.count() == 0
    except Unavailable:
        assert missing
    else:
        assert not missing
    finally:
        await store.close()


async def test_a_right_that_is_missing_is_said(postgres_base: PostgresBase, role: str) -> None:
    store = await granted(postgres_base.url, role, but="INSERT ON events")
    with pytest.raises(Unavailable, match="denies our user a right") as raised:
        await store.keep([event()], strict=False)
    assert raised.value.outcome == "not_kept"
    await store.close()


async def test_nothing_else_is_allowed(postgres_base: PostgresBase, role: str) -> None:
    store = await granted(postgres_base.url, role)
    await store.keep([event("1")], strict=False)
    await store.close()
    connection = await asyncpg.connect(as_role(postgres_base.url, role))
    for statement in FORBIDDEN:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
    await connection.close()
