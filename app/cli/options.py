"""Options that several commands share, each said once: where the collector is, and which events. Typer."""

import functools
import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, get_type_hints
from urllib.parse import urlsplit

import typer

from app.cli.exits import Exit, Stop

HERE = "http://127.0.0.1:8080"
WHERE = "Where the collector is"
WHICH = "Which events"


def address(text: str) -> str:
    """The URL of a collector. Raises typer.BadParameter."""
    found = urlsplit(text)
    if found.scheme not in ("http", "https") or not found.hostname or found.query or found.fragment:
        raise typer.BadParameter("the URL of a collector is like http://host:port")
    if "@" in found.netloc:
        # Nor is it repeated: URLs stand in what a command says, in a ledger and in its report.
        raise typer.BadParameter("the URL of a collector has no user nor password: see --token-file")
    return text.rstrip("/")


def secret(file: Path | None) -> str | None:
    """The token in this file, or in COLLECTOR_TOKEN: others see what stands on a command line. Raises Stop."""
    if file is None:
        return os.environ.get("COLLECTOR_TOKEN") or None
    try:
        return file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Stop(f"cannot read the token in {file}: {error}", Exit.WRONG) from error


def _data(text: str) -> str:
    path, equals, _ = text.partition("=")
    if not (path and equals):
        raise typer.BadParameter("it is like PATH=VALUE: version=1.4.2, build.branch=main")
    return text


TokenFile = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        envvar="COLLECTOR_TOKEN_FILE",
        metavar="FILE",
        help="The token for it, where it asks for one; or COLLECTOR_TOKEN in the environment.",
        rich_help_panel=WHERE,
    ),
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Where:
    """Where the collector is, and who asks."""

    url: Annotated[
        str,
        typer.Option(
            "--url", envvar="COLLECTOR_URL", metavar="URL", help="Its URL.", parser=address, rich_help_panel=WHERE
        ),
    ] = HERE
    token_file: TokenFile = None

    @property
    def token(self) -> str | None:
        """Raises Stop."""
        return secret(self.token_file)


def _which(*names: str, help_: str, **more: Any) -> Any:
    return typer.Option(*names, help=help_, rich_help_panel=WHICH, **more)


@dataclass(frozen=True, kw_only=True, slots=True)
class Which:
    """Conditions on events, all of which must hold: the parameters of GET /events."""

    source: Annotated[
        list[str] | None, _which("--source", "-s", help_="Who; * stands for any text. May be repeated.")
    ] = None
    action: Annotated[str | None, _which("--action", "-a", help_="What.")] = None
    subject: Annotated[str | None, _which("--subject", help_="What it was about.")] = None
    id: Annotated[str | None, _which("--id", help_="The event's id.")] = None
    since: Annotated[
        str | None, _which("--since", metavar="TIME", help_="Happened at or after: 15m, 24h, 7d ago, or RFC 3339.")
    ] = None
    until: Annotated[str | None, _which("--until", metavar="TIME", help_="Happened before.")] = None
    text: Annotated[str | None, _which("--text", "-q", help_="Text anywhere in the event.")] = None
    data: Annotated[
        list[str] | None,
        _which("--data", "-d", metavar="PATH=VALUE", help_="A value in the data. May be repeated.", parser=_data),
    ] = None

    @property
    def parameters(self) -> list[tuple[str, str]]:
        """As the collector takes them."""
        single = {
            "action": self.action,
            "subject": self.subject,
            "id": self.id,
            "since": self.since,
            "until": self.until,
            "q": self.text,
        }
        pairs = (text.partition("=") for text in self.data or ())
        return [
            *(("source", one) for one in self.source or ()),
            *((name, value) for name, value in single.items() if value is not None),
            *((f"data.{path}", value) for path, _, value in pairs),
        ]


def spread(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command as Typer takes it: a parameter that is a group of options becomes these options."""
    signature = inspect.signature(command, eval_str=True)
    groups: dict[str, type[Any]] = {
        name: one.annotation
        for name, one in signature.parameters.items()
        if isinstance(one.annotation, type) and is_dataclass(one.annotation)
    }

    @functools.wraps(command)
    def run(**given: Any) -> Any:
        made = {
            name: kind(**{one.name: given.pop(one.name) for one in fields(kind)}) for name, kind in groups.items()
        }
        return command(**given, **made)

    own = [one for name, one in signature.parameters.items() if name not in groups]
    flat = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own]
    flat += [parameter for kind in groups.values() for parameter in _parameters(kind)]
    run.__signature__ = inspect.Signature(flat)  # type: ignore[attr-defined]  # what inspect looks for first
    run.__annotations__ = {one.name: one.annotation for one in flat}
    return run


def _parameters(group: type[Any]) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            one.name, inspect.Parameter.KEYWORD_ONLY, default=one.default, annotation=hints[one.name]
        )
        for one in fields(group)
    ]
