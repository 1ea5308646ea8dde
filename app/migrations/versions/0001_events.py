"""The log, its identities, its rollup, and on PostgreSQL the functions that make, sum up and drop its days.

The functions run as their owner, so that the role the service runs as needs no right to change tables.
"""

import sqlalchemy as sa
from alembic import op

from app.store.tables import DATA, DIGEST, LABEL, SEQ, Instant

revision = "0001"
down_revision = None

_ADD_DAY = """
CREATE FUNCTION collector_add_day(day date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = {schema}, pg_temp SET lock_timeout = '1s' AS $$
DECLARE
  name text := 'events_' || to_char(day, 'YYYYMMDD');
  first bigint := (day - date '1970-01-01') * 86400000000;
BEGIN
  IF to_regclass(name) IS NULL THEN
    EXECUTE format('CREATE TABLE %I (LIKE events INCLUDING ALL)', name);
    EXECUTE format('ALTER TABLE events ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)',
                   name, first, first + 86400000000);
  END IF;
END $$
"""

# Answers how many days after today there is room for. The last number's day matters where the clock went back.
_ADD_DAYS = """
CREATE FUNCTION collector_add_days(ahead int) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = {schema}, pg_temp AS $$
DECLARE
  today date := (clock_timestamp() AT TIME ZONE 'UTC')::date;
  last date := date '1970-01-01' + (coalesce(pg_sequence_last_value('event_seq'), 0) / 86400000000)::int;
BEGIN
  PERFORM pg_advisory_xact_lock(7022);
  FOR n IN 0 .. ahead LOOP
    PERFORM collector_add_day(today + n);
  END LOOP;
  IF last > today THEN
    PERFORM collector_add_day(last);
    PERFORM collector_add_day(last + 1);
  END IF;
  FOR n IN 1 .. 366 LOOP
    IF to_regclass('events_' || to_char(today + n, 'YYYYMMDD')) IS NULL THEN
      RETURN n - 1;
    END IF;
  END LOOP;
  RETURN 366;
END $$
"""

# A day goes as a whole, and only when its last moment is `keep` days ago. Dropping takes the log's exclusive lock
# for an instant; behind a long reader it gives up, and the next turn tries again. What readers must know, the
# highest number dropped, is written in the same transaction. What the day came to goes after the day is detached:
# from then on nobody sums it up. Which tables are days comes first, and apart: a plan may try the names of others.
_DROP_DAYS = """
CREATE FUNCTION collector_drop_days(keep int) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = {schema}, pg_temp SET lock_timeout = '500ms' AS $$
DECLARE
  today date := (clock_timestamp() AT TIME ZONE 'UTC')::date;
  day record;
  highest bigint;
  dropped int := 0;
BEGIN
  PERFORM pg_advisory_xact_lock(7022);
  FOR day IN
    WITH days AS MATERIALIZED (
      SELECT c.relname AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
      WHERE i.inhparent = 'events'::regclass)
    SELECT name FROM days WHERE to_date(right(name, 8), 'YYYYMMDD') < today - keep ORDER BY name
  LOOP
    EXECUTE format('SELECT max(seq) FROM %I', day.name) INTO highest;
    UPDATE log_state SET purged_through = greatest(purged_through, coalesce(highest, 0));
    EXECUTE format('ALTER TABLE events DETACH PARTITION %I', day.name);
    EXECUTE format('DROP TABLE %I', day.name);
    DELETE FROM source_rollup r WHERE r.day = to_date(right(day.name, 8), 'YYYYMMDD') - date '1970-01-01';
    dropped := dropped + 1;
  END LOOP;
  RETURN dropped;
END $$
"""

# Adds the next `step` events of the log to what their days come to; answers how many there were. Numbers become
# visible in their order, so that what a snapshot shows up to one is all there ever will be. The row of log_state
# is the lock, against others who sum up and against retention; nobody waits for it here. By the indexes alone: the
# planner does not know how little lies beyond a number.
_ROLL_UP = """
CREATE FUNCTION collector_roll_up(step int) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = {schema}, pg_temp SET enable_seqscan = off AS $$
DECLARE
  past bigint;
  through bigint;
  found_events int;
BEGIN
  SELECT rolled_through INTO past FROM log_state;
  IF NOT EXISTS (SELECT FROM events WHERE seq > past) THEN
    RETURN 0;
  END IF;
  SELECT rolled_through INTO past FROM log_state FOR UPDATE SKIP LOCKED;
  IF NOT FOUND THEN
    RETURN 0;
  END IF;
  SELECT count(*), max(seq) INTO found_events, through
    FROM (SELECT seq FROM events WHERE seq > past ORDER BY seq LIMIT step) AS next;
  IF found_events > 0 THEN
    INSERT INTO source_rollup AS r (day, source, events, first_seen, last_seen)
      SELECT seq / 86400000000, source, count(*), min(time), max(time)
      FROM events WHERE seq > past AND seq <= through GROUP BY 1, 2
      ON CONFLICT (day, source) DO UPDATE SET events = r.events + excluded.events,
        first_seen = least(r.first_seen, excluded.first_seen),
        last_seen = greatest(r.last_seen, excluded.last_seen);
    UPDATE log_state SET rolled_through = through;
  END IF;
  RETURN found_events;
END $$
"""

_PURGE_IDS = """
CREATE FUNCTION collector_purge_ids(step int) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = {schema}, pg_temp AS $$
DECLARE
  deleted int;
BEGIN
  DELETE FROM event_ids WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM event_ids WHERE seq <= (SELECT purged_through FROM log_state) LIMIT step));
  GET DIAGNOSTICS deleted = ROW_COUNT;
  RETURN deleted;
END $$
"""

# Deletes the events of these numbers, their identities, which are found by `keys`, and their part in the rollup;
# answers how many there were. It is a commit like any other: under the lock that numbers are given under, and with
# a number of its own, which moves the version of the log before anybody can read what is left. Whatever sums up or
# drops a day is waited for first, so that nobody waits for it behind us.
#
# The first and the last moment of what is left of a source's day: few rows are read, among many the one that is
# next by time is near.
_PURGE = """
CREATE FUNCTION collector_purge(seqs bigint[], keys uuid[]) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = {schema}, pg_temp SET enable_seqscan = off AS $$
DECLARE
  low bigint;
  high bigint;
  rolled bigint;
  gone record;
  remaining source_rollup;
  deleted int := 0;
BEGIN
  SELECT min(seq), max(seq) INTO low, high FROM unnest(seqs) AS seq;
  SELECT rolled_through INTO rolled FROM log_state FOR UPDATE;
  PERFORM pg_advisory_xact_lock(7021), nextval('event_seq');
  DELETE FROM event_ids WHERE key = ANY (keys) AND seq = ANY (seqs);
  FOR gone IN
    WITH e AS (DELETE FROM events WHERE seq = ANY (seqs) AND seq BETWEEN low AND high RETURNING seq, source, time)
    SELECT seq / 86400000000 AS day, source, min(time) AS first, max(time) AS last, count(*) AS events,
      count(*) FILTER (WHERE seq <= rolled) AS summed FROM e GROUP BY 1, 2
  LOOP
    deleted := deleted + gone.events;
    UPDATE source_rollup r SET events = r.events - gone.summed
      WHERE r.day = gone.day AND r.source = gone.source RETURNING * INTO remaining;
    CONTINUE WHEN NOT FOUND;
    low := gone.day * 86400000000;
    high := least(low + 86399999999, rolled);
    IF remaining.events = 0 THEN
      DELETE FROM source_rollup r WHERE r.day = gone.day AND r.source = gone.source;
    ELSIF gone.first <= remaining.first_seen OR gone.last >= remaining.last_seen THEN
      IF remaining.events <= 10000 THEN
        WITH rest AS MATERIALIZED (SELECT time FROM events WHERE source = gone.source AND seq BETWEEN low AND high)
        SELECT min(time), max(time) INTO gone.first, gone.last FROM rest;
      ELSE
        SELECT time INTO gone.first FROM events WHERE source = gone.source AND seq BETWEEN low AND high
          AND time >= remaining.first_seen ORDER BY time LIMIT 1;
        SELECT time INTO gone.last FROM events WHERE source = gone.source AND seq BETWEEN low AND high
          AND time <= remaining.last_seen ORDER BY time DESC LIMIT 1;
      END IF;
      UPDATE source_rollup r SET first_seen = gone.first, last_seen = gone.last
        WHERE r.day = gone.day AND r.source = gone.source;
    END IF;
  END LOOP;
  RETURN deleted;
END $$
"""


def upgrade() -> None:
    """Make everything."""
    op.create_table(
        "events",
        sa.Column("seq", SEQ, primary_key=True, autoincrement=False),
        sa.Column("received_at", Instant, nullable=False),
        sa.Column("time", Instant, nullable=False),
        sa.Column("source", LABEL, nullable=False),
        sa.Column("action", LABEL, nullable=False),
        sa.Column("id", LABEL, nullable=False),
        sa.Column("subject", LABEL),
        sa.Column("data", DATA),
        postgresql_partition_by="RANGE (seq)",
    )
    op.create_index("events_source_seq", "events", ["source", "seq"])
    op.create_index("events_time", "events", ["time"])
    op.create_table(
        "event_ids",
        sa.Column("key", DIGEST, primary_key=True),
        sa.Column("hash", DIGEST, nullable=False),
        sa.Column("seq", SEQ, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("event_ids_seq", "event_ids", ["seq"], postgresql_using="brin")
    op.create_table(
        "dead_letters",
        sa.Column("id", LABEL, primary_key=True),
        sa.Column("at", Instant, nullable=False),
        sa.Column("source", LABEL, nullable=False),
        sa.Column("event_id", LABEL, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "source_rollup",
        sa.Column("day", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("source", LABEL, primary_key=True),
        sa.Column("events", sa.BigInteger, nullable=False),
        sa.Column("first_seen", Instant, nullable=False),
        sa.Column("last_seen", Instant, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "log_state",
        sa.Column("one", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("last_seq", sa.BigInteger, nullable=False),
        sa.Column("purged_through", sa.BigInteger, nullable=False),
        sa.Column("rolled_through", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "schema_version",
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("min_code", sa.Integer, nullable=False),
    )
    op.execute("INSERT INTO log_state VALUES (1, 0, 0, 0)")
    op.execute("INSERT INTO schema_version VALUES (1, 1)")
    if op.get_bind().dialect.name == "postgresql":
        _make_functions()


def _make_functions() -> None:
    schema = op.get_bind().scalar(sa.text("SELECT quote_ident(current_schema())"))
    op.execute("CREATE SEQUENCE event_seq")
    for function in (_ADD_DAY, _ADD_DAYS, _DROP_DAYS, _ROLL_UP, _PURGE_IDS, _PURGE):
        op.execute(sa.text(function.format(schema=schema).replace(":", r"\:")))
    signatures = ("add_day(date)", "add_days(int)", "drop_days(int)", "roll_up(int)", "purge_ids(int)")
    for signature in (*signatures, "purge(bigint[], uuid[])"):
        op.execute(f"REVOKE ALL ON FUNCTION collector_{signature} FROM PUBLIC")
