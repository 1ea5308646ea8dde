"""The commands that run the collector and keep its database: each takes every setting as an option. argparse.

The options are those of `settings.load`, which also prints the help of these commands; none of it needs Typer.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.about import NAME
from app.cli.exits import Exit
from app.settings import Settings, SettingsError, load

Split = tuple[list[str], list[str]]  # the operands, and the other words


@dataclass(frozen=True, slots=True)
class Service:
    """A command: `about` is its help; `run` gets the settings and the operands, and gives the exit code.

    `form` is how the operands are written, `split` finds them among the words.
    """

    about: str
    run: Callable[[Settings, Sequence[str]], int]
    form: str = ""
    split: Callable[[Sequence[str]], Split] = lambda words: ([], list(words))


def named(words: Sequence[str]) -> bool:
    """Whether these words call one of them."""
    return _name(words) in COMMANDS


def run(words: Sequence[str]) -> int:
    """Run it. Returns the exit code."""
    name = _name(words)
    service = COMMANDS[name]
    operands, options = service.split(words[len(name.split()) :])
    if service.form == _FILE and not operands and not {"-h", "--help"} & set(options):
        return _wrong(f"{name}: which FILE? `{NAME} {name} --help` says how")
    try:
        settings = load(
            options, program=f"{NAME} {name} {service.form}".rstrip(), about=service.about, serving=name == "serve"
        )
    except SettingsError as error:
        return _wrong(str(error))
    return service.run(settings, operands)


def _name(words: Sequence[str]) -> str:
    """The command that these words begin with: of one word, or of two."""
    pair = " ".join(words[:2])
    return pair if pair in COMMANDS else "".join(words[:1])


def _wrong(sentence: str) -> int:
    print(f"{NAME}: {sentence}", file=sys.stderr)
    return Exit.WRONG


def _serve(settings: Settings, _: Sequence[str]) -> int:
    from app.main import serve  # noqa: PLC0415

    return serve(settings)


def _migrate(settings: Settings, _: Sequence[str]) -> int:
    from app.migrate import migrate  # noqa: PLC0415

    return migrate(settings)


def _worker(settings: Settings, _: Sequence[str]) -> int:
    if settings.postgres_connection_string is None:
        return _wrong("worker: POSTGRES_CONNECTION_STRING is not set; with SQLite, `serve` does its work")
    from app.background import work  # noqa: PLC0415

    return work(settings)


def _healthcheck(settings: Settings, _: Sequence[str]) -> int:
    from app.healthcheck import check  # noqa: PLC0415

    return check(settings.host, settings.port, print)


def _backup(settings: Settings, operands: Sequence[str]) -> int:
    from app.backup import backup  # noqa: PLC0415

    return backup(settings, Path(operands[0]), print)


def _restore(settings: Settings, operands: Sequence[str]) -> int:
    from app.backup import restore  # noqa: PLC0415

    return restore(settings, Path(operands[0]), print)


def _list_letters(settings: Settings, _: Sequence[str]) -> int:
    from app.letters import show  # noqa: PLC0415

    return show(settings, print)


def _replay_letters(settings: Settings, operands: Sequence[str]) -> int:
    from app.letters import replay  # noqa: PLC0415

    return replay(settings, operands, print)


def _first(words: Sequence[str]) -> Split:
    """The file that comes first."""
    leads = bool(words) and not words[0].startswith("-")
    return list(words[:leads]), list(words[leads:])


def _ids(words: Sequence[str]) -> Split:
    """The values of --id."""
    ids, others = [], []
    rest = iter(words)
    for word in rest:
        if word == "--id":
            ids.append(next(rest, ""))
        elif word.startswith("--id="):
            ids.append(word.removeprefix("--id="))
        else:
            others.append(word)
    return ids, others


_FILE = "FILE"
SETTINGS = tuple(Settings.model_fields)  # each is an option of all of these

COMMANDS = {
    "serve": Service("Serve the collector until SIGTERM (drains, then leaves) or Ctrl-C (stops at once).", _serve),
    "worker": Service(
        "Drain the spool into PostgreSQL, and keep the log in shape, until SIGTERM or Ctrl-C.", _worker
    ),
    "migrate": Service(
        "Bring the database's schema to what this version needs. Safe to start several times at once.", _migrate
    ),
    "healthcheck": Service(
        "Ask what listens on HOST and PORT whether it can keep an event. Exit code 0: yes, 1: no.", _healthcheck
    ),
    "backup": Service(
        "Write the embedded database to FILE, as it is now; the collector may go on serving.",
        _backup,
        _FILE,
        _first,
    ),
    "restore": Service(
        "Put a backup in the place of the embedded database, which stays beside it. Stop it first.",
        _restore,
        _FILE,
        _first,
    ),
    "dead-letters list": Service(
        "Show the events that the spool took and the database did not, and why.", _list_letters
    ),
    "dead-letters replay": Service(
        "Try to store dead letters again: all, or those named by --id ID. Exit code 1: some are left.",
        _replay_letters,
        "[--id ID]...",
        _ids,
    ),
}
