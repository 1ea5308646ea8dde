"""PostgreSQL: the statement that keeps a group of events, and why it looks as it does.

1. Order. An advisory lock of the transaction comes first, then the numbers, the rows, the commit: numbers become
   visible in their order, so a reader that follows them misses nothing. All of it is one statement, so nobody
   waits for a client while the lock is held; large groups are copied into a temporary table before it.
2. Identity. `event_ids` holds a digest of source and id, and one of the content: a resend finds itself.
3. A duplicate is a receipt too. A group that stores nothing new writes a WAL record of its own, so that its
   commit waits for a synchronous standby exactly as the first one should have.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from app.events import Event

ORDER_LOCK = 7021  # the advisory lock under which numbers are given
STAGED_ROWS = 100  # groups from this size on are copied into a temporary table first

COLUMNS = ("n", "key", "hash", "time", "source", "action", "id", "subject", "data", "received_at")
_TYPES = ("bigint", "uuid", "uuid", "timestamptz", "text", "text", "text", "text", "json", "timestamptz")

# $1: strict, all or none. Answers n, seq, the database's clock, and `same`: NULL new, true stored, false conflict.
_KEEP = """
WITH l AS MATERIALIZED (SELECT pg_advisory_xact_lock({lock}), clock_timestamp() AS at),
i AS MATERIALIZED (SELECT t.*, l.at, k.seq AS old, k.hash = t.hash AS same,
    count(*) FILTER (WHERE k.seq IS NULL) OVER (ORDER BY n ROWS UNBOUNDED PRECEDING) AS r
  FROM l CROSS JOIN {rows} LEFT JOIN event_ids k ON k.key = t.key),
b AS MATERIALIZED (SELECT setval('event_seq', greatest(coalesce(pg_sequence_last_value('event_seq'), 0),
    (extract(epoch FROM max(at)) * 1000000)::bigint) + max(r)) - max(r) AS base
  FROM i HAVING max(r) > 0 AND (NOT $1::bool OR bool_and(same IS NOT FALSE))),
k AS (INSERT INTO event_ids SELECT key, hash, base + r FROM i, b WHERE old IS NULL AND key IS NOT NULL),
e AS (INSERT INTO events (seq, received_at, time, source, action, id, subject, data)
  SELECT base + r, coalesce(received_at, at), coalesce(time, received_at, at), source, action, id, subject, data
  FROM i, b WHERE old IS NULL),
w AS MATERIALIZED (SELECT pg_logical_emit_message(true, 'collector', '')
  FROM i HAVING max(r) = 0 AND bool_or(same))
SELECT n, coalesce(old, base + r) AS seq, at, same, (SELECT count(*) FROM w) FROM i LEFT JOIN b ON true ORDER BY n
"""

# The same for events of which no identity is known yet: no join, no numbering, one row of answer. Should one be
# known after all, the primary key of event_ids says so and KEEP has to do.
_LEAN = """
WITH l AS MATERIALIZED (SELECT pg_advisory_xact_lock({lock}), clock_timestamp() AS at),
b AS MATERIALIZED (SELECT at, setval('event_seq', greatest(coalesce(pg_sequence_last_value('event_seq'), 0),
    (extract(epoch FROM at) * 1000000)::bigint) + $1::bigint) - $1::bigint AS base FROM l),
{ids}e AS (INSERT INTO events (seq, received_at, time, source, action, id, subject, data)
  SELECT base + r, coalesce(received_at, at), coalesce(time, received_at, at), source, action, id, subject, data
  FROM {rows}, b)
SELECT base + 1 AS first, at FROM b
"""
# They come as lines of text, a column in one parameter: of each element of an array, and of each value of a row,
# the driver asks what it is, and a temporary table is written twice. An empty array stands for nothing but NULL.
_LINES = """unnest($2::timestamptz[], $3::timestamptz[], string_to_array($4, E'\\n'), string_to_array($5, E'\\n'),
  string_to_array($6, E'\\n'), string_to_array($7, E'\\n', ''), string_to_array($8, E'\\n', '')::json[]{digests})
  WITH ORDINALITY AS t(received_at, time, source, action, id, subject, data{names}, r)"""
_DIGESTS = ", string_to_array($9, E'\\n', '')::uuid[], string_to_array($10, E'\\n', '')::uuid[]"
_LEAN_IDS = """i AS MATERIALIZED (SELECT * FROM {rows}),
k AS (INSERT INTO event_ids SELECT key, hash, base + r FROM i, b WHERE key IS NOT NULL),
""".format(rows=_LINES.format(digests=_DIGESTS, names=", key, hash"))
LEAN = _LEAN.format(lock=ORDER_LOCK, ids="", rows=_LINES.format(digests="", names=""))
LEAN_IDS = _LEAN.format(lock=ORDER_LOCK, ids=_LEAN_IDS, rows="i")


def _unnest(columns: Sequence[str], types: Sequence[str]) -> str:
    arrays = ", ".join(f"${n}::{type_}[]" for n, type_ in enumerate(types, 2))
    return f"unnest({arrays}) AS t({', '.join(columns)})"


KEEP_FEW = _KEEP.format(lock=ORDER_LOCK, rows=_unnest(COLUMNS, _TYPES))
KEEP_STAGED = _KEEP.format(lock=ORDER_LOCK, rows="incoming t")
# The temporary table is nobody's receipt: these two do not wait for a standby. A backend that waits for one that
# is missing does not notice that its client has gone, so that every attempt would leave one behind.
STAGE = "SET LOCAL synchronous_commit = local; CREATE TEMP TABLE incoming ({})".format(
    ", ".join(f"{name} {type_}" for name, type_ in zip(COLUMNS, _TYPES, strict=True))
)
UNSTAGE = "SET LOCAL synchronous_commit = local; TRUNCATE incoming"
LOCK = f"SELECT pg_advisory_xact_lock({ORDER_LOCK})"

# An export shows the time that the server gave to an event without one: sent again, it is still the same event.
SAME_BUT_FOR_TIME = """
SELECT k.key, pg_logical_emit_message(true, 'collector', '')
FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) AS t(key, untimed, time)
JOIN event_ids k ON k.key = t.key AND k.hash = t.untimed JOIN events e ON e.seq = k.seq AND e.time = t.time
"""

# Events that come back to the log that gave them their ids; a duplicate is a receipt too, hence the WAL record.
AT = "SELECT seq, source, id FROM events WHERE time = ANY($1::timestamptz[]) AND seq BETWEEN $2 AND $3"
CONTENT = """SELECT seq, action, subject, data, pg_logical_emit_message(true, 'collector', '')
FROM events WHERE seq = ANY($1::bigint[])"""

Record = tuple[object, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Lines:
    """A group as the parameters of its statement."""

    statement: str
    count: int
    parameters: tuple[object, ...]


def lines(events: Sequence[Event]) -> Lines | None:
    """A group for LEAN; None for one that is not for it: a text of it has lines of its own."""
    texts = [
        "\n".join(column)
        for column in (
            [event.source for event in events],
            [event.action for event in events],
            [event.id for event in events],
            [event.subject or "" for event in events],
            [event.data or "" for event in events],
        )
    ]
    if any(text.count("\n") != len(events) - 1 for text in texts):
        return None
    identities = [event.identity for event in events]
    identified = any(identities)
    if identified:
        texts.append("\n".join([one.key.hex() if one else "" for one in identities]))
        texts.append("\n".join([one.content.hex() if one else "" for one in identities]))
    moments = [event.received_at for event in events], [event.time for event in events]
    return Lines(
        statement=LEAN_IDS if identified else LEAN,
        count=len(events),
        parameters=(*(column if any(column) else () for column in moments), *texts),
    )


def records(events: Sequence[Event]) -> list[Record]:
    """The rows of COLUMNS for a group."""
    return [
        (
            n,
            event.identity and event.identity.key,
            event.identity and event.identity.content,
            event.time,
            event.source,
            event.action,
            event.id,
            event.subject,
            event.data,
            event.received_at,
        )
        for n, event in enumerate(events)
    ]
