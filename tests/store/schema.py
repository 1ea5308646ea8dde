"""Schema: all that makes a PostgreSQL schema what it is, as lines that can be compared."""

import asyncpg

_QUERIES = (
    """SELECT c.relname, c.relkind::text, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
       (SELECT collname FROM pg_collation WHERE oid = a.attcollation)
       FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
       WHERE c.relnamespace = 'public'::regnamespace AND a.attnum > 0""",
    "SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'public'",
    "SELECT inhparent::regclass::text, inhrelid::regclass::text FROM pg_inherits",
    """SELECT c.relname, pg_get_expr(c.relpartbound, c.oid), pg_get_partkeydef(c.oid) FROM pg_class c
       WHERE c.relnamespace = 'public'::regnamespace""",
    """SELECT pg_get_functiondef(oid), proacl::text FROM pg_proc
       WHERE pronamespace = 'public'::regnamespace""",
    "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid > 0",
    "SELECT * FROM alembic_version",
    "SELECT * FROM log_state",
    "SELECT * FROM schema_version",
)


async def described(url: str) -> list[str]:
    """The tables, indexes, partitions, functions and constraints, and what the small tables hold."""
    connection = await asyncpg.connect(url)
    try:
        return [line for query in _QUERIES for line in sorted(map(str, await connection.fetch(query)))]
    finally:
        await connection.close()
