"""sources.py: which servers the tests run on, and why others are not used."""

import gc
import socket
from contextlib import closing
from pathlib import Path

from tests.sources import find_postgres, find_redis


def test_an_engine_that_has_gone_is_told_and_leaves_nothing_open(tmp_path: Path) -> None:
    left_behind = tmp_path / "docker.sock"
    with closing(socket.socket(socket.AF_UNIX)) as engine:
        engine.bind(str(left_behind))
    environ = {"DOCKER_HOST": f"unix://{left_behind}"}
    said = [*find_postgres(environ).missing, *find_redis(environ).missing]
    assert [line.split(":")[-1] for line in said if "by Docker" in line] == [" Connection refused"] * 2
    gc.collect()  # what was left open would be an error of this test


def test_a_url_of_the_environment_goes_before_all_else() -> None:
    found = find_postgres({"TEST_POSTGRES_URL": "postgres://me:secret@db.example/x"})
    with found.sources[0].serve() as url:
        assert (url, found.missing) == ("postgres://me:secret@db.example/x", [])
    assert found.sources[0].detail == "PostgreSQL of TEST_POSTGRES_URL at db.example"
