"""Every command under one help, in groups; what it says when it cannot go on. Typer."""

import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer
from typer._click.shell_completion import CompletionItem
from typer._completion_classes import completion_init
from typer.core import TyperCommand, TyperGroup

from app.about import NAME, VERSION
from app.cli import completion, copy, demo, probe, purge, query, send, services, stats, tail, token
from app.cli.exits import Exit, Stop
from app.cli.options import spread
from app.cli.screen import hush

HELP = f"""Collects events over HTTP and answers with a receipt that stays true.

`{NAME} COMMAND --help` says more. Commands that serve or keep the database take every setting as an option
(`--retention-days 30`), as an environment variable (`RETENTION_DAYS=30`), and as a key of the TOML file that
`--config` names. Commands that talk to a collector find it by `--url` or `COLLECTOR_URL`."""
EVENTS, SERVING, DATABASE, TRUST = "Events", "Serving", "The database", "Trust"
_PANELS = {
    "serve": SERVING,
    "worker": SERVING,
    "healthcheck": SERVING,
    "migrate": DATABASE,
    "backup": DATABASE,
    "restore": DATABASE,
}


class _Root(TyperGroup):
    """The command itself: every end of a command comes by here."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command. Returns the exit code."""
        try:
            code = super().invoke(ctx)
            sys.stdout.flush()
        except Stop as stop:
            print(f"{NAME}: {stop}", file=sys.stderr)
            return stop.code
        except BrokenPipeError:
            hush()
            return Exit.BROKEN_PIPE
        return code


class _Service(TyperCommand):
    """A command of `services`, here for the help and for completion: whoever calls it comes to it directly."""

    def shell_complete(self, _: Any, incomplete: str) -> list[CompletionItem]:
        """The settings."""
        options = (f"--{name.replace('_', '-')}" for name in services.SETTINGS)
        return [CompletionItem(option) for option in options if incomplete and option.startswith(incomplete)]


app = typer.Typer(
    name=NAME,
    cls=_Root,
    help=HELP,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: object) -> None:
    if wanted:
        print(NAME, VERSION)
        raise typer.Exit


@app.callback()
def _root(
    *,
    version: Annotated[
        bool, typer.Option("--version", "-V", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Every command under one help."""


def run(words: Sequence[str]) -> int:
    """Run the command that the words name. Returns the exit code."""
    try:
        return int(app(args=list(words), prog_name=NAME, standalone_mode=False) or Exit.DONE)
    except typer.TyperException as error:
        # What is wrong with an option is told only in the form that a terminal gets.
        sentence = getattr(error, "format_message", error.__str__)()
        context = getattr(error, "ctx", None)
        if sentence:  # else the help was printed
            print(f"{context.command_path if context else NAME}: {sentence}", file=sys.stderr)
        return Exit.WRONG


def _add(name: str, command: Callable[..., Any], about: str, panel: str) -> None:
    app.command(name, help=about, rich_help_panel=panel)(spread(command))


def _list(target: typer.Typer, name: str, about: str, panel: str | None = None) -> None:
    target.command(name, cls=_Service, help=about, rich_help_panel=panel)(lambda: None)


def _grow() -> None:
    """In the order of the help."""
    for command, about in ((send.send, send.HELP), (tail.tail, tail.HELP), (query.query, query.HELP)):
        _add(command.__name__, command, about, EVENTS)
    _add("stats", stats.stats, stats.HELP, EVENTS)
    _add("demo", demo.demo, demo.HELP, EVENTS)
    _add("copy", copy.copy, copy.HELP, EVENTS)
    _add("purge", purge.purge, purge.HELP, EVENTS)
    letters = typer.Typer(help="Look after what the spool took and the database did not.", no_args_is_help=True)
    for name, service in services.COMMANDS.items():
        group, _, last = name.rpartition(" ")
        _list(letters if group else app, last, service.about, None if group else _PANELS[name])
    app.add_typer(letters, name="dead-letters", rich_help_panel=DATABASE)
    app.add_typer(probe.app, name="probe", help=probe.RUN_HELP, rich_help_panel=TRUST)
    app.add_typer(token.app, name="token", rich_help_panel=TRUST)
    _add("completion", completion.completion, completion.HELP, TRUST)


_grow()
completion_init()  # which Typer does itself only beside options of its own, that `completion` is for
