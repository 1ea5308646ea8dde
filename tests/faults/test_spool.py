"""The spool under faults: PostgreSQL away, Redis away, both, and what was answered 202 afterwards."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from datetime import datetime

import pytest
import redis

from app.spool import ENTRIES, HELD
from tests.faults.conftest import Env, StartCollector
from tests.faults.load import CLEAN, Load
from tests.faults.spooling import drained, metric, post_away, read, until_metric, until_part
from tests.faults.wire import Answer, ask, event
from tests.hooks.deliveries import SECRETS, fixture, signed
from tests.ports import LOOPBACK
from tests.proxy import Mode, Proxy
from tests.servers import PostgresServer, RedisServer

ANSWERED_WITHIN = 8.0  # seconds, whatever is away; four is promised
MANY = 100  # requests
ROUNDS = 2


@pytest.fixture
async def to_redis(spool_redis: RedisServer) -> AsyncIterator[Proxy]:
    """A way to Redis that the test may break."""
    async with Proxy(LOOPBACK, spool_redis.port) as proxy:
        yield proxy


@pytest.fixture
async def to_postgres(server: PostgresServer) -> AsyncIterator[Proxy]:
    """A way to PostgreSQL that the test may break."""
    async with Proxy(LOOPBACK, server.port) as proxy:
        yield proxy


async def test_what_was_answered_202_is_drained_once_and_in_order(
    spool_env: Env, server: PostgresServer, start: StartCollector
) -> None:
    process, worker = start(spool_env), start(spool_env, command="worker")
    await process.wait_until_ready()
    await worker.wait_until_ready()
    await asyncio.to_thread(server.stop)
    ids = [str(n) for n in range(30)]
    answers = await post_away(process, "away", *ids)
    # One without an id has one all the same.
    bare = await ask(process.port, "POST", "/events", b'{"source": "bare", "action": "test", "data": [1.50, "x"]}')
    assert [answer.status for answer in answers] == [202] * 30
    assert (await ask(process.port, "GET", "/readyz")).status == 200, "the spool stands in for the database"
    assert "seq" not in answers[0].document
    assert "location" not in answers[0].headers
    await asyncio.sleep(0.5)
    back = datetime.now().astimezone()
    await asyncio.to_thread(server.start)
    await drained(spool_env)
    await until_part(process, "database")  # the worker may know it before the collector does
    stored = await read(process, "away")
    assert [one["id"] for one in stored] == ids
    for answer, one in zip(answers, stored, strict=True):
        assert {name: one[name] for name in answer.document} == answer.document
        assert datetime.fromisoformat(str(one["received_at"])) < back
        assert one["time"] == one["received_at"]
    (alone,) = await read(process, "bare")
    assert {name: alone[name] for name in bare.document} == bare.document
    assert (await ask(process.port, "POST", "/events", json.dumps(alone).encode())).status == 200
    # A resend, whether of what was sent or of what was read, is a duplicate.
    assert (await ask(process.port, "POST", "/events", event("away", "7"))).status == 200
    assert (await ask(process.port, "POST", "/events", json.dumps(stored[7]).encode())).status == 200
    worker.terminate()
    assert await worker.wait() == 0


async def test_a_webhook_goes_through_the_spool_like_any_event(
    spool_env: Env, server: PostgresServer, start: StartCollector
) -> None:
    hooks = {"am": {"kind": "alertmanager", "secrets": [SECRETS["alertmanager"]]}}
    process, worker = start({**spool_env, "HOOKS": json.dumps(hooks)}), start(spool_env, command="worker")
    await process.wait_until_ready()
    await worker.wait_until_ready()
    one = fixture("alertmanager", "several")
    headers = signed(one.sender, {}, one.body)

    async def deliver(body: bytes = one.body) -> Answer:
        return await ask(process.port, "POST", "/hooks/am", body, **headers)

    await asyncio.to_thread(server.stop)
    forged = await ask(process.port, "POST", "/hooks/am", one.body, authorization="Bearer of bad news")
    assert forged.status == 401
    # Sent again, as a sender may that has not seen the answer; or that has another figure to tell by now.
    changed = one.body.replace(b"7.3 %", b"8.1 %")
    assert changed != one.body
    assert [(await deliver(body)).status for body in (one.body, one.body, changed)] == [202, 202, 202]
    await asyncio.to_thread(server.start)
    await drained(spool_env)
    await until_part(process, "database")
    assert [event_["id"] for event_ in await read(process, "am")] == [gives["id"] for gives in one.gives]
    assert [(await deliver(body)).status for body in (one.body, changed)] == [200, 200]
    assert await metric(process, "collector_dead_letters") == 0


async def test_a_postgres_that_crashes_under_load_loses_and_doubles_nothing(
    spool_env: Env, server: PostgresServer, start: StartCollector
) -> None:
    process, _ = start(spool_env), start(spool_env, command="worker")
    await process.wait_until_ready()
    async with Load(process.port, rate=200, workers=20) as load:
        for _ in range(ROUNDS):
            await load.until_answered(201, MANY)
            await asyncio.to_thread(server.stop, "immediate")
            await load.until_answered(202, MANY)
            await asyncio.to_thread(server.start)
            await load.until_answered(201, MANY)
    await drained(spool_env)
    slow = sorted(one.done - one.sent for one in load.attempts if one.status == 202)
    print(
        "crashes with a spool:", load.statuses, f"202: median {slow[len(slow) // 2]:.4f} s, most {slow[-1]:.2f} s"
    )
    assert set(load.statuses) <= {201, 202, 503}
    assert {one.outcome for one in load.attempts if one.status == 503} <= {"unknown"}
    assert await load.audit(process.port) == CLEAN


async def test_a_silent_postgres_holds_up_nobody_for_long(
    spool_env: Env, server: PostgresServer, to_postgres: Proxy, start: StartCollector
) -> None:
    through = {**spool_env, "POSTGRES_CONNECTION_STRING": to_postgres.url_through(server.url())}
    process, _ = start(through), start(through, command="worker")
    await process.wait_until_ready()
    async with Load(process.port, rate=100) as load:
        await asyncio.sleep(0.5)
        to_postgres.mode = "stall"
        await until_part(process, "database", ok=False)
        known = time.monotonic()
        await load.until_answered(202, MANY)
        until = time.monotonic()
        to_postgres.mode = "pass"
        await until_part(process, "database")
        await asyncio.sleep(0.5)
    await drained(spool_env)
    # Those that came once it was known: none of them waited for the database to be found away again.
    after = sorted(one.done - one.sent for one in load.attempts if known < one.sent < until and one.status == 202)
    print(
        "stall:",
        load.statuses,
        f"202 once it was known: median {after[len(after) // 2]:.4f}, {after[-1]:.3f}",
    )
    assert set(load.statuses) <= {201, 202, 503}
    assert max(one.done - one.sent for one in load.attempts) < ANSWERED_WITHIN
    assert {one.outcome for one in load.attempts if one.status == 503} <= {"unknown"}
    assert await load.audit(process.port) == CLEAN


async def test_what_must_not_be_spooled_is_answered_503(
    spool_env: Env, server: PostgresServer, spool_redis: RedisServer, start: StartCollector
) -> None:
    process = start(spool_env)
    await process.wait_until_ready()
    first = await ask(process.port, "POST", "/events", event("final", "0"), prefer="durability=committed")
    assert (first.status, first.headers["preference-applied"]) == (201, "durability=committed")
    await asyncio.to_thread(server.stop)
    await until_part(process, "database", ok=False)
    for wish in ("durability=committed", "handling=strict", "handling=strict, durability=committed"):
        (answer,) = await post_away(process, "final", "1", prefer=wish)
        assert (answer.status, answer.document["outcome"]) == (503, "not_kept")
        assert "retry-after" in answer.headers
    with redis.Redis.from_url(spool_redis.url()) as client:
        assert client.xlen(ENTRIES) == 0


async def test_what_is_in_doubt_is_never_spooled(
    spool_env: Env, server: PostgresServer, to_postgres: Proxy, start: StartCollector
) -> None:
    process = start({**spool_env, "POSTGRES_CONNECTION_STRING": to_postgres.url_through(server.url())})
    await process.wait_until_ready()
    sure = await ask(process.port, "POST", "/events", b'{"source": "sure", "action": "test"}')
    assert sure.status == 201  # it is connected, and the statement for such events prepared
    to_postgres.mode = "drop-replies"
    answer = await ask(process.port, "POST", "/events", b'{"source": "doubt", "action": "test"}')
    assert (answer.status, answer.document["outcome"]) == (503, "unknown")
    with redis.Redis.from_url(spool_env["SPOOL_URL"]) as client:
        assert client.xlen(ENTRIES) == 0
    to_postgres.mode = "pass"
    await until_part(process, "database")
    assert len(await read(process, "doubt")) == 1, "it was committed: spooled as well, it would be there twice"


async def test_a_batch_is_spooled_as_a_whole(
    spool_env: Env, server: PostgresServer, start: StartCollector
) -> None:
    process = start(spool_env)
    await process.wait_until_ready()
    await asyncio.to_thread(server.stop)
    await until_part(process, "database", ok=False)
    events = [{"source": "batch", "action": "a", "data": {"n": n}} for n in range(5)] + [
        {"source": "", "action": "a"}
    ]
    answer = await ask(process.port, "POST", "/events", json.dumps(events).encode())
    assert answer.status == 202
    results = answer.document.pop("results")
    assert answer.document["spooled"] == 5
    assert (answer.document["accepted"], answer.document["rejected"]) == (0, 1)
    assert [(one["index"], one["status"]) for one in results] == [(5, "rejected")]
    all_bad = await ask(process.port, "POST", "/events", json.dumps(events[5:]).encode())
    assert all_bad.status == 422
    worker = start(spool_env, command="worker")
    await asyncio.to_thread(server.start)
    await worker.wait_until_ready()
    await drained(spool_env)
    assert [one["data"] for one in await read(process, "batch")] == [{"n": n} for n in range(5)]


async def test_a_full_spool_refuses_and_trims_nothing(
    spool_env: Env, server: PostgresServer, spool_redis: RedisServer, start: StartCollector
) -> None:
    bounded = {**spool_env, "SPOOL_MAX_EVENTS": "10"}
    one, other = start(bounded), start(bounded)
    for process in (one, other):
        await process.wait_until_ready()
    await asyncio.to_thread(server.stop)
    answers = []
    for n in range(8):
        for process in (one, other):
            answers += await post_away(process, "full", f"{n}/{process.port}")
    assert Counter(answer.status for answer in answers) == {202: 10, 503: 6}
    assert [answer.status for answer in answers[:10]] == [202] * 10, "the bound holds for both together"
    assert {answer.document["outcome"] for answer in answers[10:]} == {"not_kept"}
    assert all("retry-after" in answer.headers for answer in answers[10:])
    with redis.Redis.from_url(spool_redis.url()) as client:
        assert client.hget(HELD, "events") == b"10"
    worker = start(spool_env, command="worker")
    await asyncio.to_thread(server.start)
    await worker.wait_until_ready()
    await drained(spool_env)
    assert len(await read(one, "full")) == 10
    with redis.Redis.from_url(spool_redis.url()) as client:
        assert (client.xlen(ENTRIES), client.hkeys(HELD)) == (0, [b"drained"])


async def test_a_flushed_spool_is_said_and_counted(
    spool_env: Env, server: PostgresServer, spool_redis: RedisServer, start: StartCollector
) -> None:
    process = start({**spool_env, "SPOOL_MAX_EVENTS": "50"})
    await process.wait_until_ready()
    await asyncio.to_thread(server.stop)
    answers = await post_away(process, "flushed", "1", "2")
    assert [answer.status for answer in answers] == [202, 202]
    assert await metric(process, "collector_spool_lost_total") == 0
    with redis.Redis.from_url(spool_redis.url()) as client:
        client.flushall()
    await until_metric(process, "collector_spool_lost_total", lambda lost: lost == 1)
    assert [one.status for one in await post_away(process, "flushed", "3")] == [202]
    await until_metric(process, "collector_spool_events", lambda events: events == 1)
    assert await metric(process, "collector_spool_lost_total") == 1
    assert await metric(process, "collector_spool_max_events") == 50
    assert process.output().count("the spool has lost events") == 1


async def test_a_redis_out_of_memory_is_answered_503(
    spool_env: Env, server: PostgresServer, spool_redis: RedisServer, start: StartCollector
) -> None:
    process = start(spool_env)
    await process.wait_until_ready()
    await asyncio.to_thread(server.stop)
    (kept,) = await post_away(process, "memory", "1")
    with redis.Redis.from_url(spool_redis.url()) as client:
        client.config_set("maxmemory", "1")
        (refused,) = await post_away(process, "memory", "2")
        client.config_set("maxmemory", "0")
        (again,) = await post_away(process, "memory", "3")
        assert (kept.status, refused.status, again.status) == (202, 503, 202)
        assert (refused.document["outcome"], client.xlen(ENTRIES)) == ("not_kept", 2)


@pytest.mark.parametrize("fault", ["stall", "reset"])
async def test_a_redis_that_is_away_costs_503_within_its_budget(
    fault: Mode, spool_env: Env, server: PostgresServer, to_redis: Proxy, start: StartCollector
) -> None:
    process = start({**spool_env, "SPOOL_URL": to_redis.url_through(spool_env["SPOOL_URL"])})
    await process.wait_until_ready()
    await until_part(process, "spool")
    await asyncio.to_thread(server.stop)
    assert [one.status for one in await post_away(process, "redis", "before")] == [202]
    to_redis.mode = fault
    answers, took = [], []
    for n in range(8):
        began = time.monotonic()
        answers += await post_away(process, "redis", str(n))
        took.append(round(time.monotonic() - began, 2))
        await asyncio.sleep(0.1)
    outcomes = [one.document["outcome"] for one in answers if one.status == 503]
    print(f"{fault}:", [one.status for one in answers], outcomes, took)
    assert len(outcomes) == 8
    assert outcomes[-1] == "not_kept", "by then it is known to be away"
    assert max(took) < ANSWERED_WITHIN
    assert (await ask(process.port, "GET", "/healthz")).status == 200
    assert (await ask(process.port, "GET", "/readyz")).status == 503
    with redis.Redis.from_url(spool_env["SPOOL_URL"]) as client:
        there = client.xlen(ENTRIES)
    assert 1 <= there <= 1 + outcomes.count("unknown"), "what is said not to be kept is not there"
    to_redis.mode = "pass"
    await until_part(process, "spool")
    assert [one.status for one in await post_away(process, "redis", "after")] == [202]


async def test_a_redis_that_is_no_spool_is_named_and_not_used(
    spool_env: Env, server: PostgresServer, own_redis: RedisServer, start: StartCollector
) -> None:
    process = start({**spool_env, "SPOOL_URL": own_redis.url()})
    await process.wait_until_ready()
    said = await process.wait_for_log(lambda line: line["event"].startswith("no spool"))
    assert (said["level"], "appendonly is no" in said["reason"]) == ("warning", True)
    assert (await ask(process.port, "POST", "/events", event("none", "1"))).status == 201
    await asyncio.to_thread(server.stop)
    (answer,) = await post_away(process, "none", "2")
    assert (answer.status, answer.document["outcome"]) == (503, "not_kept")
    assert (await ask(process.port, "GET", "/readyz")).status == 503
    assert len([line for line in process.logs() if line["event"].startswith("no spool")]) == 1


async def test_a_worker_that_is_dead_is_seen_and_nothing_needs_hands(
    spool_env: Env, server: PostgresServer, start: StartCollector
) -> None:
    process, worker = start(spool_env), start(spool_env, command="worker")
    await process.wait_until_ready()
    await worker.wait_until_ready()
    await until_part(worker, "leader", says="yes")
    await asyncio.to_thread(server.stop)
    answers = await post_away(process, "demo", *map(str, range(20)))
    worker.kill()
    answers += await post_away(process, "demo", *map(str, range(20, 40)))
    assert {answer.status for answer in answers} == {202}
    await asyncio.to_thread(server.start)
    await until_part(process, "database")
    assert (await ask(process.port, "POST", "/events", event("demo", "direct"))).status == 201
    # Nobody drains: what waits is told by those who serve.
    await until_part(process, "spool", says="40 entries, 40 events")
    await until_metric(process, "collector_spool_oldest_seconds", lambda seconds: seconds > 2)
    assert await metric(process, "collector_spool_events") == 40
    assert len(await read(process, "demo")) == 1
    worker.start()
    await drained(spool_env)
    found = [str(one["id"]) for one in await read(process, "demo")]
    assert found == ["direct", *map(str, range(40))]
    await until_metric(process, "collector_spool_oldest_seconds", lambda seconds: seconds == 0)


async def test_with_sqlite_serve_drains_by_itself(
    sqlite_env: Env, spool_redis: RedisServer, start: StartCollector
) -> None:
    env = {**sqlite_env, "SPOOL_URL": spool_redis.url()}
    process = start(env)
    await process.wait_until_ready()
    locked = await asyncio.create_subprocess_exec(
        "python3",
        "-c",
        f"import sqlite3,sys; c = sqlite3.connect({sqlite_env['SQLITE_PATH']!r}, isolation_level=None);"
        "c.execute('BEGIN IMMEDIATE'); print('locked', flush=True); sys.stdin.read()",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert locked.stdout is not None
    await locked.stdout.readline()
    answers = await post_away(process, "file", "1", "2", "3")
    await locked.communicate(b"")
    assert [answer.status for answer in answers] == [202] * 3
    await drained(env)
    assert [one["id"] for one in await read(process, "file")] == ["1", "2", "3"]
