"""Audit: what is known is told, and that nobody who knows answers is no finding."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from tests import audit
from tests.audit import Found, NoAnswer, main, npm_package, read

SOUND = {"name": "one", "version": "1.0", "vulns": []}
ILL = {"name": "two", "version": "2.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.1"], "aliases": []}]}
SKIPPED = {"name": "three", "skip_reason": "Dependency not found on PyPI and could not be audited: three (3.0)"}


@contextmanager
def osv(answer: object) -> Iterator[tuple[str, list[Any]]]:
    """One that answers like this: where it is, and what it was asked."""
    asked: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200 if isinstance(answer, dict) else 503)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/", asked
        server.shutdown()


def test_what_is_known_is_a_line() -> None:
    assert read({"dependencies": [SOUND, ILL]}) == Found(packages=2, known=["two 2.0: PYSEC-1, mended in 2.1"])


@pytest.mark.parametrize("packages", [[], [SOUND, SKIPPED]])
def test_what_was_not_looked_at_is_not_called_sound(packages: list[Any]) -> None:
    with pytest.raises(NoAnswer):
        read({"dependencies": packages})


def test_the_npm_package_is_asked_for_by_its_version() -> None:
    with osv({}) as (url, asked):
        assert npm_package(url) == Found(packages=1, known=[])
    assert asked[0]["package"] == {"name": "swagger-ui-dist", "ecosystem": "npm"}
    assert asked[0]["version"]
    with osv({"vulns": [{"id": "GHSA-1"}]}) as (url, _):
        assert npm_package(url).known == [f"swagger-ui-dist {asked[0]['version']}: GHSA-1"]


def test_one_that_fails_has_not_answered() -> None:
    with osv(None) as (url, _), pytest.raises(NoAnswer):
        npm_package(url)


@pytest.mark.parametrize(
    ("report", "answer", "code"),
    [
        ([SOUND], {}, 0),
        ([ILL], {}, 1),
        ([SOUND], {"vulns": [{"id": "GHSA-1"}]}, 1),
        ([SKIPPED], {}, 2),
        ([SOUND], None, 2),
        ([ILL], None, 1),
    ],
)
def test_the_exit_code_says_which(
    monkeypatch: pytest.MonkeyPatch, report: list[Any], answer: object, code: int
) -> None:
    monkeypatch.setattr(audit, "python_packages", lambda *_: read({"dependencies": report}))
    with osv(answer) as (url, _):
        assert main(["--osv-url", url]) == code
