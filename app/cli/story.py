"""What `collector demo` tells: a day at a small company, made up by chance. No I/O.

Pushes are built and tested; green ones are deployed to staging, then to production. Now and then a test is flaky,
a deploy fails, or one that went out makes an alert fire, until a rollback. Cron jobs run meanwhile.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

SERVICES = {"web": 0.3, "api": 0.25, "checkout": 0.2, "search": 0.15, "mailer": 0.1}
PEOPLE = ("ada", "bo", "chidi", "dana", "emre", "fen")
SUITES = {"unit": (312, 40), "integration": (58, 150), "browser": (24, 210)}  # tests, seconds
JOBS = {"cron.backup": 1800, "cron.invoices": 900, "cron.sync": 300}  # seconds between two runs
ALERTS = ("HighErrorRate", "SlowRequests", "QueueGrows")
PUSH_EVERY = 180.0  # seconds, on average
BROKEN, FLAKY, FAILED_DEPLOY, BAD_DEPLOY, LONE_ALERT = 0.08, 0.06, 0.05, 0.15, 0.04


@dataclass(frozen=True, slots=True)
class Scene:
    """An event, so many seconds after the beginning."""

    at: float
    fields: Mapping[str, object]


def story(seed: int, lasts: timedelta) -> Iterator[Scene]:
    """All that happens in this time, in order; the same for the same seed."""
    chance = random.Random(seed)  # noqa: S311 - it makes up a story
    end = lasts.total_seconds()
    scenes = [*_jobs(chance, end)]
    at, number = 0.0, 0
    while (at := at + chance.expovariate(1 / PUSH_EVERY)) < end:
        number += 1
        scenes += _push(chance, at, number)
    yield from sorted((one for one in scenes if one.at < end), key=lambda one: one.at)


def _push(chance: random.Random, at: float, number: int) -> Iterator[Scene]:
    (service,) = chance.choices(list(SERVICES), list(SERVICES.values()))
    build = {"build": 4000 + number, "commit": f"{chance.getrandbits(28):07x}", "by": chance.choice(PEOPLE)}
    yield _scene(at, "ci", "build.started", f"{service} #{build['build']}", build)
    green = True
    for suite, (tests, seconds) in SUITES.items():
        took = seconds * chance.uniform(0.8, 1.5)
        failed = chance.randint(1, 4) if chance.random() < BROKEN / 2 else 0
        flaky = failed == 0 and chance.random() < FLAKY
        green, at = green and not failed, at + took
        run = {
            "suite": suite,
            "tests": tests,
            "failed": failed,
            "seconds": round(took, 1),
            "build": build["build"],
        }
        name = "test.failed" if failed else "test.flaky" if flaky else "test.passed"
        yield _scene(at, f"ci/{service}", name, suite, run)
    yield _scene(
        at + 2, "ci", "build.succeeded" if green else "build.failed", f"{service} #{build['build']}", build
    )
    if green:
        yield from _deploy(chance, at + 20, service, build)


def _deploy(chance: random.Random, at: float, service: str, build: Mapping[str, object]) -> Iterator[Scene]:
    for place in ("staging", "production"):
        data = {**build, "environment": place, "version": f"1.{build['build']}.0"}
        yield _scene(at, f"deploy/{place}", "deploy.started", service, data)
        at += chance.uniform(25, 90)
        if chance.random() < FAILED_DEPLOY:
            yield _scene(at, f"deploy/{place}", "deploy.failed", service, {**data, "error": "readiness timed out"})
            return
        yield _scene(at, f"deploy/{place}", "deploy.succeeded", service, data)
        at += chance.uniform(60, 240)
    if chance.random() < BAD_DEPLOY:
        at += chance.uniform(20, 120)
        yield from _alert(chance, at, service, "critical")
        yield _scene(at + 150, "deploy/production", "deploy.rolledback", service, {**build, "reason": "alert"})
    elif chance.random() < LONE_ALERT:
        yield from _alert(chance, at, service, "warning")


def _alert(chance: random.Random, at: float, service: str, severity: str) -> Iterator[Scene]:
    name = chance.choice(ALERTS)
    data = {"alert": name, "severity": severity, "value": round(chance.uniform(2, 30), 2)}
    yield _scene(at, "alerts", "alert.firing", service, data)
    yield _scene(at + chance.uniform(170, 400), "alerts", "alert.resolved", service, data)


def _jobs(chance: random.Random, end: float) -> Iterator[Scene]:
    for name, every in JOBS.items():
        at = chance.uniform(0, every)
        while at < end:
            took = round(chance.lognormvariate(2.5, 0.6), 1)
            failed = chance.random() < 0.03
            yield _scene(
                at, name, "job.failed" if failed else "job.succeeded", name.split(".")[1], {"seconds": took}
            )
            at += every * chance.uniform(0.97, 1.03)


def _scene(at: float, source: str, action: str, subject: str, data: Mapping[str, object]) -> Scene:
    return Scene(at, {"source": source, "action": action, "subject": subject, "data": data})
