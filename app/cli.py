"""The command: `collector serve | migrate`. What a command needs is imported by that command."""

import sys
from collections.abc import Callable, Sequence

from app.about import NAME, VERSION
from app.settings import Settings, SettingsError, load

USAGE = f"""usage: {NAME} COMMAND [OPTIONS]

commands:
  serve      serve the collector: POST /events, GET /events, and the rest
  migrate    bring the database's schema to what this version needs, then exit

`{NAME} COMMAND --help` shows every setting with its default. Each is also an environment variable
(`--retention-days 30` is RETENTION_DAYS=30) and a key of the TOML file that --config names.
`{NAME} --version` prints the version."""

_ABOUT = {
    "serve": "Serve the collector until SIGTERM (drains, then leaves) or Ctrl-C (stops at once).",
    "migrate": "Bring the database's schema to what this version needs. Safe to start several times at once.",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command that the arguments name, and exit with its code: 0 done, 1 failed, 2 wrongly asked."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    commands: dict[str, Callable[[Settings], int]] = {"serve": _serve, "migrate": _migrate}
    if not words or words[0] in ("-h", "--help", "help"):
        print(USAGE)
        sys.exit(0 if words else 2)
    if words[0] in ("-V", "--version"):
        print(NAME, VERSION)
        sys.exit(0)
    name, *options = words
    if name not in commands:
        sys.exit(_wrong(f"there is no command {name!r}; `{NAME} --help` lists them"))
    try:
        settings = load(options, program=f"{NAME} {name}", about=_ABOUT[name])
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
