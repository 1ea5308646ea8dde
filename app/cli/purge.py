"""`collector purge`: deletes what somebody should not have sent, once it has shown that and asked. Typer, httpx.

Nothing is tried again by itself: what is gone need not be asked for, and whoever asks again is shown what is left.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import httpx
import msgspec
import typer

from app.cli.caller import Refused
from app.cli.exits import Exit
from app.cli.options import Where

LOOK_SECONDS = 600.0  # for what would go: every event of the sources is looked at
ANSWER_SECONDS = 60.0  # between two lines of progress, of which there is one a second
HELP = """Delete the events of some sources that were received before a moment, for good.

It shows what would go, asks on a terminal, and says how far it is. The token needs the scope admin, and reaches
its own sources alone. Who did it, and what, is in the collector's log, and an event of the source `collector`.

It may be begun again. Exit code 0: done, or nothing to do; 1: not done, or not all of it."""

Say = Callable[[str], None]
Ask = Callable[[str], str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What to delete, and where. `yes`: without being asked."""

    url: str
    token: str | None
    sources: Sequence[str]
    before: str
    yes: bool


class _OfSource(msgspec.Struct, frozen=True):
    source: str
    events: int
    first_received_at: datetime
    last_received_at: datetime


class _Plan(msgspec.Struct, frozen=True):
    before: str
    events: int
    dead_letters: int
    spooled: int | None
    sources: list[_OfSource]
    confirm: str

    @property
    def all(self) -> str:
        letters = f" and {self.dead_letters} dead letters" if self.dead_letters else ""
        return f"{self.events} events{letters}"


class _Progress(msgspec.Struct, frozen=True):
    state: str
    events: int
    dead_letters: int
    problem: dict[str, object] | None = None


_decode_plan = msgspec.json.Decoder(_Plan).decode
_decode_line = msgspec.json.Decoder(_Progress).decode


class PurgeError(Exception):
    """It cannot go on; the message says why."""


def purge(
    *,
    source: Annotated[
        list[str],
        typer.Option(metavar="PATTERN", help="Of which source; * stands for any text. May be repeated."),
    ],
    before: Annotated[
        str, typer.Option(metavar="TIME", help="Received before: 2027-01-31T00:00:00Z, or 30d, 12h, 0s ago.")
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    where: Where,
) -> int:
    """What `collector purge` does. Raises Stop."""
    wanted = Wanted(url=where.url, token=where.token, sources=source, before=before, yes=yes)
    return carry_out(wanted, print, input if sys.stdin.isatty() else None)


def carry_out(wanted: Wanted, say: Say, ask: Ask | None) -> int:
    """Show, ask, delete; `ask` None: nobody is there to be asked. Returns the exit code."""
    headers = {"Authorization": f"Bearer {wanted.token}"} if wanted.token else {}
    try:
        with httpx.Client(base_url=wanted.url, headers=headers, timeout=ANSWER_SECONDS) as client:
            return _purge(client, wanted, say, ask)
    except httpx.HTTPError as error:
        say(f"{wanted.url} does not answer: {error}; the same command, again, shows what is left")
    except PurgeError as error:
        say(str(error))
    return Exit.FAILED


def _purge(client: httpx.Client, wanted: Wanted, say: Say, ask: Ask | None) -> int:
    plan = _shown(client, wanted, say)
    if not (plan.events or plan.dead_letters):
        return Exit.DONE
    if not wanted.yes:
        if ask is None:
            raise PurgeError("Nothing was deleted: this is no terminal to be asked on, and --yes was not given.")
        if ask(f"Delete {plan.all}, for good? Type yes: ").strip().lower() != "yes":
            raise PurgeError("Nothing was deleted.")
    return _deleted(client, wanted, plan, say)


def _shown(client: httpx.Client, wanted: Wanted, say: Say) -> _Plan:
    answer = client.get("/purge", params={"source": wanted.sources, "before": wanted.before}, timeout=LOOK_SECONDS)
    if answer.status_code != 200:
        raise PurgeError(_refusal(answer))
    plan = _decode_plan(answer.content)
    for one in plan.sources:
        say(f"{one.events:>12}  {_minute(one.first_received_at)} - {_minute(one.last_received_at)}  {one.source}")
    say(f"{plan.events:>12}  received before {plan.before}, and {plan.dead_letters} dead letters")
    if plan.spooled:
        say(f"{plan.spooled} events wait in the spool and are not looked into: purge again once they are drained.")
    return plan


def _deleted(client: httpx.Client, wanted: Wanted, plan: _Plan, say: Say) -> int:
    parameters = {"source": wanted.sources, "before": plan.before, "confirm": plan.confirm}
    last = None
    with client.stream("POST", "/purge", params=parameters) as answer:
        if answer.status_code != 200:
            answer.read()
            raise PurgeError(_refusal(answer))
        for last in _progress(answer):
            if last.state == "under_way" and last.events:
                say(f"{last.events:>12}  of {plan.events} deleted")
    if last is None or last.state != "succeeded":
        problem = (last and last.problem) or {"detail": "the answer broke off"}
        raise PurgeError(f"{last.events if last else 0} of {plan.all} deleted; {problem['detail']}")
    say(f"{last.events} events and {last.dead_letters} dead letters deleted")
    return Exit.DONE


def _progress(answer: httpx.Response) -> Iterator[_Progress]:
    for line in answer.iter_lines():
        yield _decode_line(line)


def _refusal(answer: httpx.Response) -> str:
    return f"{answer.request.method} /purge was answered {answer.status_code}: {Refused(answer).problem.told}"


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%MZ}"
