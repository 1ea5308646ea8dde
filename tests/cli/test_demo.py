"""`collector demo`: a story that is the same for the same seed, and that ends now."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import httpx

from app.cli.exits import Exit
from app.cli.story import story
from tests.cli.conftest import Call

HOUR = timedelta(hours=1)


def test_a_story_is_made_by_chance_alone() -> None:
    one, same, other = (list(story(seed, HOUR)) for seed in (7, 7, 8))
    assert one == same
    assert one != other
    assert [scene.at for scene in one] == sorted(scene.at for scene in one)
    assert one[-1].at < HOUR.total_seconds()


def test_it_is_believable() -> None:
    told = Counter(str(scene.fields["action"]) for scene in story(1, 24 * HOUR))
    assert told["deploy.started"] >= told["deploy.succeeded"] > 10 * told["deploy.failed"] > 0
    assert told["test.passed"] > told["test.failed"] > 0
    assert told["alert.firing"] >= told["alert.resolved"] > 0
    assert told["deploy.rolledback"] <= told["alert.firing"]


def test_it_is_told_up_to_now(call: Call, url: str) -> None:
    begin = datetime.now(UTC)
    told = call("demo", "--speed", "0", "--seed", "5")
    assert told.code == Exit.DONE
    count = len(list(story(5, HOUR)))
    assert told.err.startswith(f"{count} stored, 0 rejected (--seed 5)")
    page = httpx.get(f"{url}/events", params={"source": "ci*", "limit": 1000}, trust_env=False).json()
    times = [datetime.fromisoformat(event["time"]) for event in page]
    assert begin - HOUR - timedelta(minutes=1) < min(times) < max(times) <= datetime.now(UTC)


def test_it_takes_as_long_as_the_speed_says(call: Call) -> None:
    begin = datetime.now(UTC)
    assert call("demo", "--hours", "0.5", "--speed", "1800").code == Exit.DONE
    assert datetime.now(UTC) - begin > timedelta(milliseconds=500)
