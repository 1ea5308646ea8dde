"""The version of the log: every commit moves it, and it is settled only while no commit is under way."""

import asyncpg

from app.store.keep import ORDER_LOCK
from tests.store.bases import AnyStore, postgres_store
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
            assert await store.version() > 0
        assert await store.settled() is not None
    finally:
        await writer.close()
        await store.close()
