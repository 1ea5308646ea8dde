"""A collector with a bug, else as `python -m app`: `GET /sources` fails, with every secret at hand."""

import sys

from fastapi import Request
from pydantic import SecretStr
from starlette.responses import Response

from app import api
from app.cli import main
from app.settings import Settings, load


async def _sources(_: object, request: Request) -> Response:
    """Fail as code does that somebody wrote in good faith."""
    settings: Settings = load()
    secrets = [value.get_secret_value() for _, value in settings if isinstance(value, SecretStr)]
    headers = dict(request.headers)
    raise ZeroDivisionError(f"planted: {len(secrets)} secrets, {len(headers)} headers")


if __name__ == "__main__":
    api._Api.sources = _sources  # type: ignore[assignment,method-assign]
    main(sys.argv[1:])
