"""The command: `collector serve | send | query | …`.

What runs the collector is called at once, so that `serve` does not wait for what draws on terminals; whatever else
there is, and every page of help, is Typer's (`terminal`).
"""

import sys
from collections.abc import Sequence

from app.cli import services
from app.cli.exits import Exit


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command that the arguments name, and exit with its code, one of Exit."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        sys.exit(services.run(words) if services.named(words) else _terminal(words))
    except KeyboardInterrupt:
        sys.exit(Exit.INTERRUPTED)


def _terminal(words: Sequence[str]) -> int:
    from app.cli.terminal import run  # noqa: PLC0415

    return run(words)
