"""A story for pictures: an hour of a small team's deploys, tests, jobs and alerts, with one incident in it."""

import random
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

Event = dict[str, Any]
SERVICES = ("checkout", "catalog", "payments", "search", "accounts")
PEOPLE = ("amina", "jonas", "mei", "tomás", "priya")
TITLES = ("Retry with a budget", "Refund partially", "Faster suggestions", "Time out sooner", "Say which card")
MINUTE = 60.0
INCIDENT = 19 * MINUTE  # seconds before the end, and for how long:
LASTED = 4 * MINUTE


def story(end: datetime, count: int = 420) -> list[Event]:
    """Events up to `end`, oldest first; the same for the same `end`."""
    chance = random.Random(5)
    told = [(chance.uniform(40, 60 * MINUTE), chance.choices(KINDS, WEIGHTS)[0](chance)) for _ in range(count)]
    told += incident(chance)
    told.sort(key=lambda one: -one[0])
    return [{**event, "time": (end - timedelta(seconds=ago)).isoformat()} for ago, event in told]


def incident(chance: random.Random) -> Iterator[tuple[float, Event]]:
    """A version of payments that fails, is rolled back, and mended."""
    on = {"environment": "production"}
    yield INCIDENT + 50, event("argocd", "deploy.succeeded", "payments", version="3.11.3", by="jonas", **on)
    for _ in range(46):
        name = chance.choice(("HighErrorRate", "HighLatency", "QueueBacklog"))
        value = round(chance.uniform(0.05, 0.4), 3)
        yield (
            INCIDENT - chance.random() * LASTED,
            event("alertmanager", "alert.firing", name, severity="critical", value=value),
        )
    yield INCIDENT - LASTED, event("argocd", "deploy.rolled_back", "payments", version="3.11.2", by="mei", **on)
    yield 31, event("ci", "tests.passed", "payments", branch="main", passed=618, failed=0, seconds=74.2)
    yield 22, event("github", "pull_request.merged", "acme/payments", number=912, title="Say which card", by="mei")
    yield 12, event("alertmanager", "alert.resolved", "HighErrorRate", severity="critical", value=0.002)
    yield 4, event("argocd", "deploy.succeeded", "payments", version="3.11.4", by="mei", seconds=41.7, **on)


def event(source: str, action: str, subject: str, **data: Any) -> Event:
    """An event of the story, not yet in time."""
    return {"source": source, "action": action, "subject": subject, "data": data}


def tested(chance: random.Random) -> Event:
    passed, branch = chance.randint(300, 700), chance.choice(("main", "main", "refunds", "retry-budget"))
    action, failed = chance.choice([("tests.passed", 0)] * 14 + [("tests.failed", 2)])
    service, seconds = chance.choice(SERVICES), round(chance.uniform(20, 190), 1)
    return event("ci", action, service, branch=branch, passed=passed, failed=failed, seconds=seconds)


def reviewed(chance: random.Random) -> Event:
    action = chance.choice(("push", "pull_request.opened", "pull_request.merged"))
    words = {"number": chance.randint(600, 990), "title": chance.choice(TITLES), "by": chance.choice(PEOPLE)}
    return event("github", action, f"acme/{chance.choice(SERVICES)}", **words)


def deployed(chance: random.Random) -> Event:
    action = chance.choice(["deploy.started", "deploy.succeeded", "deploy.succeeded"] * 4 + ["deploy.failed"])
    version = f"{chance.randint(1, 4)}.{chance.randint(0, 20)}.{chance.randint(0, 9)}"
    place = chance.choice(("staging", "production"))
    return event(
        "argocd", action, chance.choice(SERVICES), version=version, by=chance.choice(PEOPLE), environment=place
    )


def ran(chance: random.Random) -> Event:
    action = chance.choice(["job.succeeded"] * 16 + ["job.failed"])
    job = chance.choice(("nightly-backup", "invoice-run", "rotate-logs", "reindex"))
    return event("cron", action, job, seconds=round(chance.uniform(1, 90), 2), rows=chance.randint(10, 90_000))


def did(chance: random.Random) -> Event:
    service, place = chance.choice(SERVICES[:3]), f"{chance.choice(('eu', 'us'))}-{chance.randint(1, 3)}"
    action = chance.choice(("cache.flushed", "flag.changed", "config.reloaded", "scaled"))
    return event(
        service, action, place, instance=f"{service}-{chance.getrandbits(16):04x}", by=chance.choice(PEOPLE)
    )


def alerted(chance: random.Random) -> Event:
    action, name = (
        chance.choice(("alert.firing", "alert.resolved")),
        chance.choice(("DiskWillFill", "CertificateExpires")),
    )
    return event("alertmanager", action, name, severity="warning", service=chance.choice(SERVICES))


KINDS: tuple[Callable[[random.Random], Event], ...] = (tested, reviewed, deployed, ran, did, alerted)
WEIGHTS = (32, 14, 16, 14, 20, 4)
