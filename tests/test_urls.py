"""URLs: what a driver would not read as it is meant is refused, in a sentence that does not repeat it."""

import asyncio

import asyncpg
import pytest

from app.urls import bears_password, postgres_fault, redis_fault

SECRET = "hunter2"
NO_POSTGRES = [
    f"mysql://me:{SECRET}@db/x",
    SECRET,
    f"postgres://me:{SECRET}\u2100@db",
    f"postgres://{SECRET}[",
    f"postgres://[{SECRET}",
    f"postgres://me:[{SECRET}@db/x",
    f"postgres://me:{SECRET}@db:port/x",
    f"postgres://me:a/{SECRET}@db/x",
    f"postgres://me:12/{SECRET}@db/x",
    f"postgres://me:a#{SECRET}@db/x",
    f"postgres://me:a?{SECRET}@db/x",
    f"postgres://me:a@{SECRET}@db/x",
    f"postgres://me:{SECRET}@db:99999/x",
    f"postgres://me:{SECRET}@one:1,other:b/x",
]
POSTGRES = [
    "postgres://",
    "postgresql:///x?host=/run/postgresql",
    "postgres://db",
    "postgres://me@db/x",
    "postgresql://me:a%2Fb%40c%23@db:5432/x?sslmode=require&sslrootcert=/etc/ca.crt",
    "postgres://me:a:b@one:1,other:2,third/x",
    "postgres://me:a@[::1]:5/x",
    "postgres://me:a@[::1]/x",
    "postgres://me:a@%2Frun%2Fpostgresql/x",
]


@pytest.mark.parametrize("url", NO_POSTGRES)
def test_what_a_driver_would_misread_is_refused_and_not_repeated(url: str) -> None:
    wrong = postgres_fault(url)
    assert wrong
    assert SECRET not in wrong


@pytest.mark.parametrize("url", POSTGRES)
async def test_what_is_taken_the_driver_can_read(url: str) -> None:
    assert postgres_fault(url) is None
    # No server is there: it fails for that, in time, and not for the URL.
    with pytest.raises((OSError, TimeoutError, asyncpg.PostgresError)):
        await asyncio.wait_for(asyncpg.connect(url, timeout=0.2, database="nowhere", user="nobody"), 5)


@pytest.mark.parametrize("url", [f"redis://:12#{SECRET}@h", f"redis://me:a/{SECRET}@h/0", f"redis://{SECRET}["])
def test_so_it_is_with_redis(url: str) -> None:
    wrong = redis_fault(url)
    assert wrong
    assert SECRET not in wrong


@pytest.mark.parametrize(
    ("url", "bears"),
    [
        ("postgres://me:a@h/x", True),
        ("postgres://me@h/x?password=a", True),
        ("postgres://me@h/x", False),
        ("postgres://me:@h/x", False),
    ],
)
def test_a_password_is_seen_wherever_it_is(url: str, bears: bool) -> None:
    assert bears_password(url) is bears
