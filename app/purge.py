"""`collector purge`: delete what somebody should not have sent. It shows first what would go, and asks. httpx."""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

import httpx
import msgspec

from app.about import NAME

URL = "http://127.0.0.1:8080"
LOOK_SECONDS = 600.0  # for what would go: every event of the sources is looked at
ANSWER_SECONDS = 60.0  # between two lines of progress, of which there is one a second
ABOUT = """Delete the events of some sources that were received before a moment, for good. It shows what would go,
asks on a terminal, and says how far it is. The token needs the scope admin, and reaches its own sources alone. Who
did it, and what, is a line in the collector's log and an event of the source collector. It may be begun again."""
MORE = "Exit code 0: done, or nothing to do; 1: not done, or not all of it; 2: wrongly asked."

Say = Callable[[str], None]


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


def purge(words: Sequence[str], say: Say, ask: Callable[[str], str] | None) -> int:
    """Show, ask, delete; `ask` None: nobody is there to be asked. Returns the exit code."""
    asked = _parser().parse_args(words)
    try:
        token = asked.token_file and asked.token_file.read_text().strip()
    except OSError as error:
        say(f"{NAME} purge: cannot read {error.filename}: {error.strerror}")
        return 2
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        with httpx.Client(base_url=asked.url, headers=headers, timeout=ANSWER_SECONDS) as client:
            return _purge(client, asked, say, ask)
    except httpx.HTTPError as error:
        say(f"{asked.url} does not answer: {error}; the same command, again, shows what is left")
    except PurgeError as error:
        say(str(error))
    return 1


def _purge(client: httpx.Client, asked: Namespace, say: Say, ask: Callable[[str], str] | None) -> int:
    plan = _shown(client, asked, say)
    if not (plan.events or plan.dead_letters):
        return 0
    if not asked.yes:
        if ask is None:
            raise PurgeError("Nothing was deleted: this is no terminal to be asked on, and --yes was not given.")
        if ask(f"Delete {plan.all}, for good? Type yes: ").strip().lower() != "yes":
            raise PurgeError("Nothing was deleted.")
    return _carried_out(client, asked, plan, say)


def _shown(client: httpx.Client, asked: Namespace, say: Say) -> _Plan:
    answer = client.get("/purge", params={"source": asked.source, "before": asked.before}, timeout=LOOK_SECONDS)
    if answer.status_code != 200:
        raise PurgeError(_refusal(answer))
    plan = _decode_plan(answer.content)
    for one in plan.sources:
        say(f"{one.events:>12}  {_minute(one.first_received_at)} - {_minute(one.last_received_at)}  {one.source}")
    say(f"{plan.events:>12}  received before {plan.before}, and {plan.dead_letters} dead letters")
    if plan.spooled:
        say(f"{plan.spooled} events wait in the spool and are not looked into: purge again once they are drained.")
    return plan


def _carried_out(client: httpx.Client, asked: Namespace, plan: _Plan, say: Say) -> int:
    wanted = {"source": asked.source, "before": plan.before, "confirm": plan.confirm}
    last = None
    with client.stream("POST", "/purge", params=wanted) as answer:
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
    return 0


def _progress(answer: httpx.Response) -> Iterator[_Progress]:
    for line in answer.iter_lines():
        yield _decode_line(line)


def _refusal(answer: httpx.Response) -> str:
    try:
        detail = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        detail = answer.text[:500]
    return f"{answer.request.method} /purge was answered {answer.status_code}: {detail}"


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%MZ}"


def asking() -> Callable[[str], str] | None:
    """What asks whoever sits at the terminal; None where there is none."""
    return input if sys.stdin.isatty() else None


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog=f"{NAME} purge", description=ABOUT, epilog=MORE, allow_abbrev=False)
    add = parser.add_argument
    add(
        "--source",
        required=True,
        action="append",
        metavar="PATTERN",
        help="of which source; * stands for any text; may be given several times",
    )
    add("--before", required=True, metavar="TIME", help="2027-01-31T00:00:00Z, or 30d, 12h, 0s ago")
    add("--url", default=URL, help="the collector's URL (default: %(default)s)")
    add("--token-file", metavar="FILE", type=Path, help="a file with a token of the scope admin")
    add("--yes", action="store_true", help="do not ask")
    return parser
