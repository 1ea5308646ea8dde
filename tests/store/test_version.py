"""The version of the log: every commit moves it, and it is settled only while no commit is under way."""

import asyncio

import asyncpg

from app.store.keep import ORDER_LOCK
from tests.databases import create_database, database_name, drop_database, migrate
from tests.servers import PostgresServer
from tests.store.bases import AnyStore, Base, postgres_store
from tests.store.make import event


async def test_every_commit_moves_the_version(store: AnyStore) -> None:
    seen = [await store.version()]
    for n in range(3):
        await store.keep([event(f"{n}")], strict=False)
        seen.append(await store.version())
    assert len(set(seen)) == 4


async def test_reading_and_a_duplicate_leave_it(store: AnyStore) -> None:
    await store.keep([event("1")], strict=False)
    version = await store.version()
    await store.keep([event("1")], strict=False)
    await store.reader.head()
    assert [await store.version(), await store.settled()] == [version, version]


async def test_it_is_not_settled_while_a_writer_holds_the_order(postgres_url: str) -> None:
    store = postgres_store(postgres_url)
    writer = await asyncpg.connect(postgres_url)
    try:
        async with writer.transaction():
            await writer.execute(f"SELECT pg_advisory_xact_lock({ORDER_LOCK})")
            assert await store.settled() is None
            assert await store.version()
        assert await store.settled() is not None
    finally:
        await writer.close()
        await store.close()


async def test_it_is_the_same_for_every_replica(postgres_url: str) -> None:
    stores = [postgres_store(postgres_url) for _ in range(2)]
    await stores[0].keep([event("1")], strict=False)
    first, second = [await said(store) for store in stores]
    assert first == second


async def test_a_connection_to_a_file_counts_for_itself_alone(base: Base) -> None:
    if base.kind == "sqlite":
        first, second = [await said(base.open()) for _ in range(2)]
        assert first[0] != second[0]
        assert first[1] == second[1]


async def test_a_copy_of_a_log_is_another_log(postgres_server: str, postgres_url: str) -> None:
    store = postgres_store(postgres_url)
    await store.keep([event("1")], strict=False)
    original = await said(store)
    copy = await create_database(postgres_server, template=database_name(postgres_url))
    try:
        copied = await said(postgres_store(copy))
    finally:
        await drop_database(postgres_server, copy)
    assert original[0].rpartition(".")[2] == copied[0].rpartition(".")[2]
    assert not {*original} & {*copied}


async def test_another_process_of_the_server_may_have_another_history(own_postgres: PostgresServer) -> None:
    await asyncio.to_thread(migrate, own_postgres.url())
    before = await said(postgres_store(own_postgres.url()))
    await asyncio.to_thread(own_postgres.restart)
    after = await said(postgres_store(own_postgres.url()))
    assert before[0] != after[0]
    assert before[1] == after[1]


async def said(store: AnyStore) -> tuple[str, str]:
    """The version and the identity that a store gives, which is then closed."""
    found = await store.version(), await store.identity()
    await store.close()
    return found
