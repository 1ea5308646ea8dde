"""URLs of servers: whether a driver would read one as it is meant; told without it, since it has a password.

A password whose signs are not percent-encoded ends up in the place of the port, the database or the query: the
driver connects elsewhere, or complains of what it found there, word for word.
"""

import re
from urllib.parse import parse_qs, urlsplit

_HOST = re.compile(r"(?:[^:\[\]]*|\[[^\[\]]+\])(?::(\d{1,5}))?")
_ENCODED = "in a password / is %2F, ? is %3F, # is %23, @ is %40"


def postgres_fault(url: str) -> str | None:
    """What is wrong with it; None: nothing that can be seen."""
    # Cut by hand: what a URL parser complains about, it quotes.
    if url.partition("://")[0].lower() not in ("postgres", "postgresql"):
        return "must begin with postgres:// or postgresql://"
    return None if _is_postgres(url) else f"must be like postgres://user:password@host:5432/db; {_ENCODED}"


def redis_fault(url: str) -> str | None:
    """What is wrong with it; None: nothing that can be seen."""
    return (
        None if _is_redis(url) else "must be like redis://user:password@host:6379/0, rediss://host or unix:///path"
    )


def bears_password(url: str) -> bool:
    """Whether there is a password in the URL of a PostgreSQL."""
    parts = urlsplit(url)
    return bool(parts.password) or "password" in parse_qs(parts.query)


def place(url: str) -> str:
    """Where the server of a URL is, whoever asks it: the same before and after a password is changed."""
    parts = urlsplit(url)
    return f"{parts.netloc.rpartition('@')[2]}{parts.path}"


def _is_postgres(url: str) -> bool:
    try:
        parts = urlsplit(url)
        parse_qs(parts.query, strict_parsing=bool(parts.query))
    except ValueError:
        return False
    user, _, hosts = parts.netloc.rpartition("@")
    found = [_HOST.fullmatch(host) for host in hosts.split(",")]
    misplaced = "#" in url or "@" in user or "@" in parts.path
    return not misplaced and all(host is not None and int(host[1] or 0) < 2**16 for host in found)


def _is_redis(url: str) -> bool:
    from redis.asyncio import ConnectionPool  # noqa: PLC0415 - only who has a Redis waits for its client to load

    scheme, _, rest = url.partition("://")
    path = rest.partition("?")[0].partition("/")[2]
    if "#" in url or (scheme != "unix" and path and not path.isdecimal()):
        return False  # the client would read no further, or take database 0
    try:
        # Made, not connected: an option that there is not shows only now.
        ConnectionPool.from_url(url).make_connection()  # type: ignore[no-untyped-call]  # it has no types
    except (ValueError, TypeError):
        return False
    return True
