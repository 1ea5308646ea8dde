"""The command: `collector serve | worker | migrate | …`, see USAGE. Each imports what it needs."""

import sys
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from pathlib import Path

from app.about import NAME, VERSION
from app.settings import Settings, SettingsError, load

USAGE = f"""usage: {NAME} COMMAND [OPTIONS]

commands:
  serve      serve the collector: POST /events, GET /events, and the rest
  worker     drain the spool into PostgreSQL and keep the log in shape; one, or several
  migrate    bring the database's schema to what this version needs, then exit
  dead-letters list|replay [--id ID]...
             what the spool took and the database did not: show it, or try to store it again
  token new  make a token, and the entry by which a collector knows it
  healthcheck
             ask the process on this machine's PORT whether it can keep an event; exit code 0: yes, 1: no
  backup FILE
             write the embedded database, as it is now, to a file; the collector may go on serving
  restore FILE
             put such a file in the place of the embedded database; the collector has to be stopped
  copy FROM TO [--from-token-file FILE] [--to-token-file FILE]
             copy every event of the collector at one URL into the one at another, ids kept; may be repeated
  purge --source PATTERN --before TIME [--url URL] [--token-file FILE] [--yes]
             show which events would be deleted before their time, ask, and delete them
  probe      load a collector, remember what it promised, read everything back, and judge
  probe verify
             audit the events of an earlier probe

`{NAME} COMMAND --help` shows every setting with its default. Each is also an environment variable
(`--retention-days 30` is RETENTION_DAYS=30) and a key of the TOML file that --config names.
`{NAME} --version` prints the version."""

_ABOUT = {
    "copy": "Copy every event of one collector into another, ids kept. It may be ended and begun again.",
    "serve": "Serve the collector until SIGTERM (drains, then leaves) or Ctrl-C (stops at once).",
    "worker": "Drain the spool into PostgreSQL, and keep the log in shape, until SIGTERM or Ctrl-C.",
    "healthcheck": "Ask what listens on HOST and PORT whether it can keep an event. Exit code 0: yes, 1: no.",
    "backup": "Write the embedded database to FILE, as it is now; the collector may go on serving.",
    "restore": "Put a backup in the place of the embedded database, which stays beside it. Stop it first.",
    "dead-letters list": "Show the events that the spool took and the database did not, and why.",
    "dead-letters replay": "Try to store dead letters again: all, or those named by --id ID. 1: some are left.",
    "migrate": "Bring the database's schema to what this version needs. Safe to start several times at once.",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command that the arguments name, and exit with its code: 0 done, 1 failed, 2 wrongly asked."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    commands: dict[str, Callable[[Settings], int]] = {
        "serve": _serve,
        "worker": _worker,
        "migrate": _migrate,
        "healthcheck": _healthcheck,
    }
    if not words or words[0] in ("-h", "--help", "help"):
        print(USAGE)
        sys.exit(0 if words else 2)
    if words[0] in ("-V", "--version"):
        print(NAME, VERSION)
        sys.exit(0)
    name, *options = words
    without_settings = {"probe": _probe, "token": _token, "copy": _copy, "purge": _purge}
    if name in without_settings:
        sys.exit(without_settings[name](options))
    if name in ("backup", "restore"):
        file, options = _file(options)
        if file is None and "--help" not in options:
            sys.exit(_wrong(f"{name}: which FILE? `{NAME} --help` lists the commands"))
        commands = {
            "backup": lambda settings: _backup(settings, Path(file or "")),
            "restore": lambda settings: _restore(settings, Path(file or "")),
        }
    if name == "dead-letters":
        ids, options = _ids(options)
        name, options = " ".join((name, *options[:1])), options[1:]
        commands = {
            "dead-letters list": _list_letters,
            "dead-letters replay": lambda settings: _replay_letters(settings, ids),
        }
    if name not in commands:
        sys.exit(_wrong(f"there is no command {name!r}; `{NAME} --help` lists them"))
    try:
        settings = load(options, program=f"{NAME} {name}", about=_ABOUT[name], serving=name == "serve")
    except SettingsError as error:
        sys.exit(_wrong(str(error)))
    sys.exit(commands[name](settings))


def _wrong(sentence: str) -> int:
    print(f"{NAME}: {sentence}", file=sys.stderr)
    return 2


def _serve(settings: Settings) -> int:
    from app.main import serve  # noqa: PLC0415

    return serve(settings)


def _migrate(settings: Settings) -> int:
    from app.migrate import migrate  # noqa: PLC0415

    return migrate(settings)


def _worker(settings: Settings) -> int:
    if settings.postgres_connection_string is None:
        return _wrong("worker: POSTGRES_CONNECTION_STRING is not set; with SQLite, `serve` does its work")
    from app.background import work  # noqa: PLC0415

    return work(settings)


def _healthcheck(settings: Settings) -> int:
    from app.healthcheck import check  # noqa: PLC0415

    return check(settings.host, settings.port, print)


def _backup(settings: Settings, file: Path) -> int:
    from app.backup import backup  # noqa: PLC0415

    return backup(settings, file, print)


def _restore(settings: Settings, file: Path) -> int:
    from app.backup import restore  # noqa: PLC0415

    return restore(settings, file, print)


def _copy(words: Sequence[str]) -> int:
    parser = ArgumentParser(prog=f"{NAME} copy", description=_ABOUT["copy"], allow_abbrev=False)
    for end in ("from", "to"):
        parser.add_argument(end, metavar=end.upper(), help="the URL of a collector, like http://one:8080")
    for end in ("from", "to"):
        parser.add_argument(
            f"--{end}-token-file", metavar="FILE", type=Path, help="the token for it, if it has any"
        )
    asked = vars(parser.parse_args(words))
    urls = [asked[end].rstrip("/") for end in ("from", "to")]
    if not all(url.startswith(("http://", "https://")) for url in urls):
        return _wrong(f"copy: from which URL to which? `{NAME} copy http://one:8080 http://other:8080`")
    from app.copy import End, copy  # noqa: PLC0415

    try:
        tokens = [asked[name] and asked[name].read_text().strip() for name in ("from_token_file", "to_token_file")]
    except OSError as error:
        return _wrong(f"copy: cannot read {error.filename}: {error.strerror}")
    return copy(End(urls[0], tokens[0]), End(urls[1], tokens[1]), print)


def _token(words: Sequence[str]) -> int:
    if not words or words[0] != "new":
        return _wrong(f"token: there is `{NAME} token new`; its --help says how")
    from app.mint import mint  # noqa: PLC0415

    return mint(words[1:], print, lambda line: print(line, file=sys.stderr))


def _purge(words: Sequence[str]) -> int:
    from app.purge import asking, purge  # noqa: PLC0415

    return purge(words, print, asking())


def _probe(words: Sequence[str]) -> int:
    from app.probe.command import main  # noqa: PLC0415

    return main(words)


def _list_letters(settings: Settings) -> int:
    from app.letters import show  # noqa: PLC0415

    return show(settings, print)


def _replay_letters(settings: Settings, ids: Sequence[str]) -> int:
    from app.letters import replay  # noqa: PLC0415

    return replay(settings, ids, print)


def _file(words: Sequence[str]) -> tuple[str | None, list[str]]:
    """The file that comes first, and the other words."""
    if not words or words[0].startswith("--"):
        return None, list(words)
    return words[0], list(words[1:])


def _ids(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The values of --id, and the other words."""
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
