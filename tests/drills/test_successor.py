"""The next version: every edit finds its place in the code, and its schema admits the code before."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from app.about import VERSION
from app.store import CODE, Schema
from app.store.sqlite import SqliteStore
from tests.child import clean_environment
from tests.drills import successor


def run(place: Path, *words: str, **env: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "app", *words],
        cwd=place,
        env={**clean_environment(), **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.strip()


async def test_it_brings_a_schema_that_both_versions_can_use(tmp_path: Path) -> None:
    database = tmp_path / "collector.db"
    here = SqliteStore(database)
    await here.migrate()
    place = successor.make(tmp_path)
    run(place, "migrate", SQLITE_PATH=str(database))
    with sqlite3.connect(database) as connection:
        assert successor.COLUMN in {row[1] for row in connection.execute("PRAGMA table_info(events)")}
    connection.close()
    schema = await here.check(writing=True)
    assert (schema, schema.usable) == (Schema(CODE + 1, CODE), True)
    await here.close()


def test_it_says_that_it_is_another_version(tmp_path: Path) -> None:
    assert run(successor.make(tmp_path), "--version").split()[1] == f"{VERSION}+next"


def test_code_that_has_no_such_place_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(successor, "EDITS", (("about.py", "no such words", ""),))
    with pytest.raises(LookupError, match=r"about\.py"):
        successor.make(tmp_path)
