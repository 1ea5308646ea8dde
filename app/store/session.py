"""PostgreSQL: what every connection that carries events is told before its first use."""

from datetime import datetime
from functools import lru_cache

import asyncpg

from app.store import keep
from app.store.tables import EPOCH, MICROSECOND, micros

_EPOCH_2000 = 946_684_800_000_000  # microseconds from 1970 to PostgreSQL's epoch

# A receipt says "on disk", whatever the database's default is.
_DURABLE = """SELECT set_config('synchronous_commit', 'on', false)
WHERE current_setting('synchronous_commit') IN ('off', 'local')"""


async def for_times(connection: asyncpg.Connection) -> None:
    """Moments as they are: asyncpg would make the infinities of the first and the last that Python knows."""
    await connection.set_type_codec(
        "timestamptz", schema="pg_catalog", format="tuple", encoder=_encoded, decoder=_decoded
    )


async def for_digests(connection: asyncpg.Connection) -> None:
    """Digests are 16 bytes as they are: a UUID object each would cost more than the row."""
    await connection.set_type_codec("uuid", schema="pg_catalog", encoder=bytes, decoder=bytes, format="binary")


async def for_receipts(connection: asyncpg.Connection) -> None:
    """Commits that wait for the disk, and for the synchronous standby where one is configured."""
    await connection.execute(_DURABLE)


async def for_staging(connection: asyncpg.Connection) -> None:
    """The temporary table that large groups are copied into."""
    await connection.execute(keep.STAGE)


def _encoded(moment: datetime) -> tuple[int]:
    return (micros(moment) - _EPOCH_2000,)


@lru_cache(16)  # the rows of one commit bear one moment
def _decoded(value: tuple[int]) -> datetime:
    return EPOCH + (value[0] + _EPOCH_2000) * MICROSECOND
