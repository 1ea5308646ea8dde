"""`collector demo`: an hour of deploys, test runs and alerts, so that there is something to look at. Typer."""

import secrets
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from app.cli import incoming
from app.cli.caller import Caller, stopping
from app.cli.exits import Exit
from app.cli.incoming import Item
from app.cli.options import Where
from app.cli.posting import Poster, Tally, batches
from app.cli.screen import err, progress, safe
from app.cli.story import Scene, story

PATIENCE = 60.0  # seconds
TICK = 0.2  # seconds between two requests, at the least
HELP = """Post a believable hour of deploys, test runs and alerts, faster than it would take.

--speed 60 makes it a minute. The last event is of now, and those before it as much older as they would be.
Everything is made up by chance; the same --seed makes up the same."""


def demo(
    *,
    speed: Annotated[float, typer.Option(min=0, help="How many times as fast; 0: all at once.")] = 60.0,
    hours: Annotated[float, typer.Option(min=0.01, max=24 * 90, help="How much of it.")] = 1.0,
    seed: Annotated[int | None, typer.Option(help="Of chance.")] = None,
    where: Where,
) -> int:
    """What `collector demo` does."""
    chance = secrets.randbelow(10**6) if seed is None else seed
    scenes = list(story(chance, timedelta(hours=hours)))
    with stopping(), progress("telling", len(scenes)) as bar:
        tally = Tally()
        with Caller(where.url, where.token, patience=PATIENCE, note=bar.say) as caller:
            for batch in batches(_told(scenes, chance, speed, hours * 3600)):
                tally += Poster(caller).post(
                    batch, lambda one, why: bar.say(f"rejected: {one.place}: {why}", "red")
                )
                bar.advance(len(batch))
    err().print(f"{tally} (--seed {chance}); look at {safe(where.url)}/")
    return Exit.FAILED if tally.rejected else Exit.DONE


def _told(scenes: list[Scene], seed: int, speed: float, lasts: float) -> Iterator[Item | None]:
    """Each when its time has come; None where there is nothing to wait together for."""
    begin = time.monotonic()
    wall = datetime.now(UTC) - timedelta(
        seconds=lasts * (1 - 1 / speed) if speed > 1 else lasts if not speed else 0
    )
    for number, scene in enumerate(scenes):
        due = begin + (scene.at / speed if speed else 0)
        if due > time.monotonic():
            yield None
            time.sleep(max(TICK, due - time.monotonic()))
        id_ = f"demo-{seed}-{wall:%Y%m%dT%H%M%S}-{number}"
        moment = (wall + timedelta(seconds=scene.at)).isoformat()
        yield incoming.of(f"event {number}", {**scene.fields, "id": id_, "time": moment})
