"""The tables, once for both databases: what the readers select from and the migrations are held to."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.types import TypeDecorator, TypeEngine

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class Instant(TypeDecorator[datetime]):
    """A moment in UTC: `timestamptz` in PostgreSQL, whole microseconds since 1970 in SQLite."""

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The column's type."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(TIMESTAMP(timezone=True))
        return dialect.type_descriptor(BigInteger())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """To the database."""
        return value if value is None or dialect.name == "postgresql" else micros(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """From the database."""
        if value is None or dialect.name != "postgresql":
            return None if value is None else EPOCH + value * MICROSECOND
        moment: datetime = value.astimezone(UTC)
        return moment


def micros(moment: datetime) -> int:
    """Microseconds since 1970."""
    return (moment - EPOCH) // MICROSECOND


# C collation: the same order on every machine, and an index that a prefix can use.
LABEL = Text().with_variant(Text(collation="C"), "postgresql")
# json, not jsonb: what is kept is what was sent. jsonb would spell 1e22 as an integer that no client could send
# back, and a number of six bytes, 1e308, as one of 309.
DATA = Text().with_variant(JSON(), "postgresql")
DIGEST = LargeBinary(16).with_variant(Uuid(), "postgresql")

SEQ = BigInteger().with_variant(Integer(), "sqlite")

METADATA = MetaData()

# The log: append only, in the order of commits.
events = Table(
    "events",
    METADATA,
    Column("seq", SEQ, primary_key=True, autoincrement=False),
    Column("received_at", Instant, nullable=False),
    Column("time", Instant, nullable=False),
    Column("source", LABEL, nullable=False),
    Column("action", LABEL, nullable=False),
    Column("id", LABEL, nullable=False),
    Column("subject", LABEL),
    Column("data", DATA),
    Index("events_source_seq", "source", "seq"),
    Index("events_time", "time"),
    postgresql_partition_by="RANGE (seq)",
)

# The unique key of a partitioned table must hold its partition key, so identity has a table of its own.
event_ids = Table(
    "event_ids",
    METADATA,
    Column("key", DIGEST, primary_key=True),
    Column("hash", DIGEST, nullable=False),
    Column("seq", SEQ, nullable=False),
    Index("event_ids_seq", "seq", postgresql_using="brin"),
    sqlite_with_rowid=False,
)

# What the spool took and the log does not: kept until somebody looks.
dead_letters = Table(
    "dead_letters",
    METADATA,
    Column("id", LABEL, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("source", LABEL, nullable=False),
    Column("event_id", LABEL, nullable=False),
    Column("reason", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

# What the events of one day of numbers come to, source by source: see store/rollup.py.
source_rollup = Table(
    "source_rollup",
    METADATA,
    Column("day", BigInteger, primary_key=True, autoincrement=False),
    Column("source", LABEL, primary_key=True),
    Column("events", BigInteger, nullable=False),
    Column("first_seen", Instant, nullable=False),
    Column("last_seen", Instant, nullable=False),
    sqlite_with_rowid=False,
)

# One row. `last_seq` is SQLite's last number; PostgreSQL has the sequence event_seq. `purged_through` is the
# highest number that retention has dropped, `rolled_through` the highest that the rollup has looked at.
log_state = Table(
    "log_state",
    METADATA,
    Column("one", SmallInteger, primary_key=True, autoincrement=False),
    Column("last_seq", BigInteger, nullable=False),
    Column("purged_through", BigInteger, nullable=False),
    Column("rolled_through", BigInteger, nullable=False),
)

# One row: what this schema can do, and the oldest code that may use it.
schema_version = Table(
    "schema_version",
    METADATA,
    Column("revision", Integer, nullable=False),
    Column("min_code", Integer, nullable=False),
)
