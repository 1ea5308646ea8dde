"""`collector probe` and `collector probe verify`: arguments in, an exit code out. Typer."""

import asyncio
import re
import secrets
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import msgspec
import typer
import uvloop

from app.about import NAME
from app.probe import faults, ledger
from app.probe.client import TOKEN
from app.probe.conduct import Run, read_back
from app.probe.faults import FaultLogError
from app.probe.history import History, history
from app.probe.html import html
from app.probe.ledger import Ledger, LedgerError
from app.probe.progress import progress
from app.probe.report import page
from app.probe.schedule import Plan
from app.probe.verdict import Verdict, judge

WRONG = 2
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}

RUN_HELP = """Send events at a fixed schedule, remember every promise, read everything back, and judge.

Before each request a line is written, and another one after its answer. Readers follow meanwhile. At the end
everything is read back through every URL (several URLs are replicas of one collector), and held against what was
acknowledged: nothing may be lost, doubled, corrupted, or stored although it was refused.

The events bear the source collector.probe/RUN, which counts leave out.

Exit code 0: clean. 1: a promise was broken. 2: nothing was tested, or wrongly asked. Ctrl-C ends the load, and the
verdict follows; a second one quits.

`probe verify LEDGER URL` audits the events of an old ledger."""

VERIFY_HELP = """Audit the events of an old ledger: is all that was acknowledged there, once, as it was sent?

URL may be the same collector later, another replica or region, or one on a restored backup.

Exit code 0: clean. 1: a promise was broken. 2: nothing was tested, or wrongly asked."""


def seconds(text: str) -> float:
    """A duration like 500ms, 60s, 5m, 2h. Raises typer.BadParameter."""
    found = _DURATION.fullmatch(text)
    if found is None or (value := float(found[1]) * _UNITS[found[2]]) <= 0:
        raise typer.BadParameter("a duration is like 500ms, 60s, 5m, 2h")
    return value


def address(text: str) -> str:
    """The URL of a collector. Raises typer.BadParameter."""
    found = urlsplit(text)
    if found.scheme not in ("http", "https") or not found.hostname or found.query or found.fragment:
        raise typer.BadParameter("the URL of a collector is like http://host:port")
    if "@" in found.netloc:
        # Nor repeated: it is written into the ledger and the report.
        raise typer.BadParameter("the URL of a collector has no user nor password: see --token-file")
    return text.rstrip("/")


Urls = Annotated[
    list[str],
    typer.Argument(metavar="URL...", help="Where the collector is; several are its replicas.", parser=address),
]
Secret = Annotated[
    str | None,
    typer.Option(
        "--token",
        envvar="COLLECTOR_TOKEN",
        show_envvar=True,
        metavar="TOKEN",
        help="What lets the probe read and write; on the command line others can see it.",
    ),
]
SecretFile = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        envvar="COLLECTOR_TOKEN_FILE",
        show_envvar=True,
        metavar="FILE",
        help="The same, in a file.",
    ),
]
Html = Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write a report with a timeline.")]
Json = Annotated[bool, typer.Option("--json", help="Print the verdict as one JSON object.")]

run_app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
verify_app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@run_app.command(help=RUN_HELP)
def run(
    urls: Urls,
    *,
    rate: Annotated[float, typer.Option(min=0.1, max=5000, help="Requests a second.")] = 200,
    for_: Annotated[
        float, typer.Option("--for", metavar="TIME", help="How long: 500ms, 60s, 5m, 2h.", parser=seconds)
    ] = "60s",  # type: ignore[assignment]
    retry: Annotated[bool, typer.Option(help="Send again, under the same id, what is not acknowledged.")] = True,
    batch: Annotated[int, typer.Option(min=1, max=1000, help="Events a request.")] = 1,
    workers: Annotated[
        int, typer.Option(min=1, max=200, help="Senders; every other one opens a connection a request.")
    ] = 10,
    settle: Annotated[
        float,
        typer.Option(
            metavar="TIME", help="How long retries, and then the spool, may take at the end.", parser=seconds
        ),
    ] = "30s",  # type: ignore[assignment]
    seed: Annotated[
        int | None, typer.Option(help="Of texts and pauses; printed, so that a run can be had again.")
    ] = None,
    ledger_file: Annotated[
        Path | None, typer.Option("--ledger", metavar="FILE", help="Keep the history here, for `verify`.")
    ] = None,
    faults_file: Annotated[
        Path | None,
        typer.Option("--faults", metavar="FILE", help="JSON lines of the faults that somebody injects meanwhile."),
    ] = None,
    html_file: Html = None,
    as_json: Json = False,
    token: Secret = None,
    token_file: SecretFile = None,
) -> int:
    """What `collector probe` does."""
    TOKEN.set(_token(token, token_file))
    plan = Plan(
        run=time.strftime("%Y%m%d-%H%M%S-", time.gmtime()) + secrets.token_hex(3),
        urls=tuple(urls),
        rate=rate,
        seconds=for_,
        batch=batch,
        workers=workers,
        retry=retry,
        seed=secrets.randbelow(2**32) if seed is None else seed,
    )
    with Ledger(ledger_file) as history_, progress() as say:
        one = Run(plan, history_, settle, say)
        verdict, found = uvloop.run(_run(one, faults_file))
    return _tell(verdict, found, html_file, as_json=as_json)


@verify_app.command(help=VERIFY_HELP)
def verify(
    ledger_file: Annotated[
        Path, typer.Argument(metavar="LEDGER", help="What `collector probe --ledger` has written.")
    ],
    urls: Urls,
    *,
    settle: Annotated[
        float, typer.Option(metavar="TIME", help="How long to wait for what is missing.", parser=seconds)
    ] = "1s",  # type: ignore[assignment]
    html_file: Html = None,
    as_json: Json = False,
    token: Secret = None,
    token_file: SecretFile = None,
) -> int:
    """What `collector probe verify` does."""
    TOKEN.set(_token(token, token_file))
    found = history(ledger.read(ledger_file))
    found.plan = msgspec.structs.replace(found.plan, urls=tuple(urls))
    with progress() as say:
        verdict = judge(found, uvloop.run(read_back(found, settle, say)))
    return _tell(verdict, found, html_file, as_json=as_json)


def main(words: Sequence[str]) -> int:
    """`collector probe WORDS`; gives the exit code."""
    verifying = words[:1] == ["verify"]
    app, name = (verify_app, f"{NAME} probe verify") if verifying else (run_app, f"{NAME} probe")
    try:
        return int(app(args=words[verifying:], prog_name=name, standalone_mode=False))
    except typer.TyperException as error:
        # It knows which option is meant, but tells it only in the form that a terminal gets.
        sentence = getattr(error, "format_message", error.__str__)()
    except (LedgerError, FaultLogError, OSError) as error:
        sentence = str(error)
    print(f"{name}: {sentence}", file=sys.stderr)
    return WRONG


def _token(given: str | None, file: Path | None) -> str | None:
    return file.read_text().strip() if given is None and file is not None else given


async def _run(one: Run, faults_file: Path | None) -> tuple[Verdict, History]:
    signals = 0

    def interrupted() -> None:
        nonlocal signals
        signals += 1
        if signals > 1:
            raise SystemExit(WRONG)
        one.say("the load ends here; once more to quit without a verdict")
        one.stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, interrupted)
    return await one.verdict(lambda: None if faults_file is None else faults.read(faults_file))


def _tell(verdict: Verdict, found: History, html_file: Path | None, *, as_json: bool) -> int:
    if html_file is not None:
        html_file.write_text(html(verdict, found), encoding="utf-8")
    print(msgspec.json.encode(verdict).decode() if as_json else page(verdict))
    return verdict.code
