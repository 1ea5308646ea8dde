"""`collector probe` and `collector probe verify`: arguments in, an exit code out. Typer."""

import re
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from app.cli.options import TokenFile, address, secret

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


Urls = Annotated[
    list[str],
    typer.Argument(metavar="URL...", help="Where the collector is; several are its replicas.", parser=address),
]
Html = Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write a report with a timeline.")]
Json = Annotated[bool, typer.Option("--json", help="Print the verdict as one JSON object.")]


class _Group(TyperGroup):
    """`probe URL...` is `probe run URL...`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put in the word that may be left out."""
        return super().parse_args(ctx, args if args[:1] == ["verify"] else ["run", *args])


app = typer.Typer(cls=_Group, rich_markup_mode="markdown")


@app.command("run", help=RUN_HELP)
def run_(
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
    token_file: TokenFile = None,
) -> int:
    """What `collector probe` does."""
    from app.probe.command import Load, Wishes, run  # noqa: PLC0415 - it loads what only this needs

    return run(
        Wishes(urls=urls, token=secret(token_file), settle=settle, html_file=html_file, as_json=as_json),
        Load(rate=rate, seconds=for_, batch=batch, workers=workers, retry=retry, seed=seed),
        ledger_file=ledger_file,
        faults_file=faults_file,
    )


@app.command("verify", help=VERIFY_HELP)
def verify_(
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
    token_file: TokenFile = None,
) -> int:
    """What `collector probe verify` does."""
    from app.probe.command import Wishes, verify  # noqa: PLC0415 - likewise

    wishes = Wishes(urls=urls, token=secret(token_file), settle=settle, html_file=html_file, as_json=as_json)
    return verify(wishes, ledger_file)
