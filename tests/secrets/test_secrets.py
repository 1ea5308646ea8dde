"""Secrets: each is a canary, which nothing that is written, answered or counted may bear, whatever goes wrong."""

import asyncio
import hmac
import json
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from app.settings import NEVER_SHOWN, Settings, SettingsError, load
from tests.faults.test_loops import command
from tests.http.serving import client_of, wait_until
from tests.ports import LOOPBACK, free_port
from tests.process import CollectorProcess
from tests.secrets.canaries import Canary, leaks
from tests.secrets.conftest import House

EVENT = {"source": "web", "action": "deployed"}
BUG = "tests.secrets.buggy"
PATIENCE = 60.0  # seconds for what takes one, on a machine that does other things too
WATCHING = ("/healthz?verbose", "/readyz?verbose", "/metrics", "/openapi.json", "/docs")


def test_every_form_of_a_canary_is_found() -> None:
    canary = Canary("a")
    for before in range(4):
        text = b"x" * before + canary.text.encode() + b"xyz"
        assert canary.found_in(b64encode(text))
        assert canary.found_in(text.hex().encode())
    for shown in (
        quote(canary.text),
        canary.text.upper(),
        repr(canary.text),
        canary.text[::-1],
        f"a?b={canary.text}",
    ):
        assert canary.found_in(shown.encode())
    assert not canary.found_in(Canary("b").text.encode())
    assert leaks([canary], {"there": canary.text.encode()}) == ["a in there: plain"]


def test_what_is_secret_is_known_by_its_type() -> None:
    secret = {name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)}
    assert secret == NEVER_SHOWN
    assert len(secret) >= 6


@contextmanager
def started(env: Mapping[str, str], command: str = "serve", module: str = "app") -> Iterator[CollectorProcess]:
    with CollectorProcess(env=env, command=command, module=module) as process:
        asyncio.run(process.wait_until_healthy(PATIENCE))
        yield process


def requests(house: House) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """What clients send that have secrets, in the right place and in every wrong one: method, path, the rest."""
    right, wrong = ({"Authorization": f"Bearer {one.text}"} for one in (house.right, house.wrong))
    packed = b64encode(house.right.text.encode()).decode()
    token = quote(house.right.text, safe="")
    for headers in (right, wrong, {}, {"Authorization": f"Basic {packed}"}, {"Authorization": house.right.text}):
        for body in (
            EVENT,
            [EVENT, {"source": "other", "action": "a"}, {}],
            {"source": "other", "action": "a"},
            {},
        ):
            yield "POST", "/events", {"headers": headers, "json": body}
        for path in ("/events", "/events?source=web", "/sources", "/events/stats", "/events/1"):
            yield "GET", path, {"headers": headers}
        yield "GET", "/events", {"headers": headers | {"Accept": "text/csv"}}
    for path in (f"/events?access_token={token}", f"/sources?token={token}", f"/nothing/{token}?a={token}"):
        for method in ("GET", "POST", "PUT"):
            yield method, path, {"headers": right, "json": EVENT}
    yield "GET", "/events", {"headers": {"Cookie": f"token={token}", "Proxy-Authorization": f"Bearer {token}"}}
    yield "GET", "/events", {"headers": right | {"X-A": house.right.text * 1000}}
    yield "GET", "/events", {"headers": right | {"If-None-Match": "*"}}
    yield "POST", "/events", {"headers": right, "content": b'{"source": "web",'}
    yield "POST", "/events", {"headers": right | {"Content-Encoding": "gzip"}, "json": EVENT}
    body_ = b'{"ref": "refs/heads/main"}'
    known = hmac.new(house.settings["hooks"].text.encode(), body_, sha256).hexdigest()
    for signature in (known, "0" * 64, house.right.core):
        headers = {"X-Hub-Signature-256": f"sha256={signature}", "X-GitHub-Event": "push", "X-Gitlab-Token": token}
        yield "POST", "/hooks/github", {"headers": headers, "content": body_}


def told(process: CollectorProcess, house: House) -> dict[str, bytes]:
    """Every answer to clients."""
    with client_of(process) as client:
        answers = [client.request(*asked, **more) for *asked, more in requests(house)]
    return {f"answer {number}, {answer.status_code}": written(answer) for number, answer in enumerate(answers)}


def written(answer: httpx.Response) -> bytes:
    return repr(answer.headers.raw).encode() + answer.content


def statuses(said: Mapping[str, bytes]) -> set[int]:
    return {int(name.rpartition(", ")[2]) for name in said if name.startswith("answer")}


def watched(process: CollectorProcess, *more: str) -> dict[str, bytes]:
    """What a process says of itself."""
    with client_of(process) as client:
        return {path: written(client.get(path)) for path in (*WATCHING, *more)}


def ended(process: CollectorProcess) -> bytes:
    """All that it wrote."""
    process.terminate()
    asyncio.run(process.wait(PATIENCE))
    return process.output().encode()


@pytest.mark.parametrize("style", ["json", "console"])
def test_a_collector_that_works_shows_none(house: House, tokens_file: Path, style: str) -> None:
    env = house.environment() | {"LOG_LEVEL": "debug", "LOG_FORMAT": style, "TOKENS_FILE": str(tokens_file)}
    del env["TOKENS"]
    with started(env | {"POSTGRES_PASSWROD": house.wrong.text}) as process:
        asyncio.run(process.wait_until_ready(PATIENCE))
        said = told(process, house) | watched(process)
        tokens_file.write_text(f'{house.declared()}\n{{"{house.right.text}": "{house.wrong.text}"}}\n')
        wait_until(lambda: "tokens cannot be read" in process.output(), "a line about the tokens")
        said["log"] = ended(process)
    assert statuses(said) >= {200, 201, 304, 400, 401, 403, 404, 405, 422, 431}
    assert b"answered" in said["log"]
    assert leaks(house.canaries, said) == []


@pytest.mark.parametrize(("style", "level"), [("json", "debug"), ("console", "info")])
def test_a_bug_shows_none(house: House, style: str, level: str) -> None:
    with started(house.environment() | {"LOG_FORMAT": style, "LOG_LEVEL": level}, module=BUG) as process:
        token = quote(house.right.text, safe="")
        with client_of(process) as client:
            bearing = {"Authorization": f"Bearer {house.right.text}"}
            said = {"answer": written(client.get(f"/sources?token={token}", headers=bearing))}
        said["log"] = ended(process)
    assert b"urn:problem:internal" in said["answer"]
    assert b"Traceback" in said["log"]
    assert b"planted" in said["log"]
    assert leaks(house.canaries, said) == []


@pytest.mark.parametrize(
    ("role", "fault"),
    [
        ("serve", "the passwords are wrong"),
        ("serve", "nobody is there"),
        ("worker", "the passwords are wrong"),
    ],
)
def test_who_does_not_get_in_shows_none(house: House, role: str, fault: str) -> None:
    strange = house.strange()
    if fault == "nobody is there":
        env = house.environment(database=free_port(), redis=free_port())
    else:
        env = strange.environment()
    with started(env | {"LOG_LEVEL": "debug"}, command=role) as process:
        wait_until(lambda: "the database" in process.output(), "a line about the database")
        wait_until(lambda: "no spool" in process.output(), "a line about the spool")
        said = watched(process) | (told(process, house) if role == "serve" else {})
        said["log"] = ended(process)
    assert leaks([*house.canaries, *strange.canaries], said) == []


ODD = (
    "{0}",
    "postgres://me:{0}@[",
    "postgres://me:{0}/{0}@db/x",
    "postgres://me:{0}#{0}@db/x",
    "postgres://me:{0}?{0}@db/x",
    "postgres://me:{0}\u2100@db/x",
    "postgres://me@db:{0}/x",
    "redis://me:{0}/{0}@h/0",
    "redis://:{0}#@h:port",
    "redis://h?{0}={0}",
    '["{0}"]',
    '{{"/{0}": "{0}"}}',
    '{{"a": {{"kind": "{0}", "secrets": ["{0}"], "{0}": 1}}}}',
    '{{"a": {{"kind": "standard", "secrets": ["{0}"]}}}}',
    '{{"name": "{0}", "hash": "{0}", "scopes": ["{0}"], "sources": []}}',
    "{0}\n{0}",
)


@pytest.mark.parametrize("odd", ODD)
def test_what_is_refused_at_the_start_is_not_repeated(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, odd: str
) -> None:
    """Every secret at once is odd: the one line tells of each that cannot be right."""
    canaries = [Canary(name) for name in sorted(NEVER_SHOWN)]
    values = {canary.name: odd.format(canary.core) for canary in canaries}
    said: dict[str, bytes] = {}

    def loaded(where: str, *arguments: str, **env: str) -> None:
        with monkeypatch.context() as patch:
            for variable, text in env.items():
                patch.setenv(variable, text)
            try:
                said[where] = str(load(arguments).public()).encode()
            except SettingsError as error:
                said[where] = str(error).encode()
                assert b"\n" not in said[where]

    for name, value in values.items():
        (tmp_path / name).write_text(value)
    toml, bare = tmp_path / "a.toml", tmp_path / "b.toml"
    toml.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items()))
    bare.write_text("".join(f"{name} = {value}\n" for name, value in values.items()))
    options = {f"--{name.replace('_', '-')}": value for name, value in values.items()}
    loaded("the environment", **{name.upper(): value for name, value in values.items()})
    loaded("files", **{f"{name.upper()}_FILE": str(tmp_path / name) for name in values})
    loaded("the folder", CONFIG_DIR=str(tmp_path))
    loaded("TOML", CONFIG=str(toml))
    loaded("TOML that is none", CONFIG=str(bare))
    loaded("options", *(f"{option}={value}" for option, value in options.items()), "--port=x")
    loaded("options that there are not", *(f"{option}x={value}" for option, value in options.items()))
    loaded("words", *values.values())
    assert leaks(canaries, said) == []


def run(*words: str, module: str = "app", **env: str) -> bytes:
    """All that a command writes, which says something and leaves no traceback."""
    done = command(*words, module=module, **env)
    said = done.stdout + done.stderr
    assert said
    assert "Traceback" not in said
    return f"{done.returncode}\n{said}".encode()


def test_a_command_that_does_not_get_in_repeats_none(house: House) -> None:
    strange = house.strange()
    debug = {"LOG_LEVEL": "debug"}
    environments = {
        "wrong": strange.environment() | debug,
        "broken": {name: f"[{value}" for name, value in house.environment().items()} | debug,
        "away": house.environment(database=free_port(), redis=free_port()) | debug,
    }
    said = {
        f"{words}, {fault}": run(*words.split(), module=module, **environments[fault])
        for fault, words, module in (
            ("wrong", "impatient migrate", "tests.faults.broken"),
            ("wrong", "dead-letters list", "app"),
            ("broken", "migrate", "app"),
            ("broken", "healthcheck", "app"),
            ("away", "dead-letters list", "app"),
        )
    }
    assert leaks([*house.canaries, *strange.canaries], said) == []


def test_help_and_usage_show_none(house: House, tokens_file: Path) -> None:
    env = house.environment() | {"TOKENS_FILE": str(tokens_file), "COLLECTOR_TOKEN": house.right.text}
    commands = ("", "serve", "worker", "probe", "copy")
    said = {words: run(*words.split(), "--help", **env) for words in commands}
    assert leaks(house.canaries, said) == []


def test_the_tools_of_clients_show_none(house: House, tmp_path: Path) -> None:
    strange = house.strange()
    files = {name: tmp_path / name for name in ("ledger", "html", "token", "strange")}
    files["token"].write_text(house.right.text)
    files["strange"].write_text(strange.right.text)
    said = {}
    with started(house.environment(), module="app") as process:
        asyncio.run(process.wait_until_ready(PATIENCE))
        probe = ("probe", process.url, "--rate", "20", "--for", "500ms", "--settle", "1s")
        keep = ("--ledger", str(files["ledger"]), "--html", str(files["html"]))
        for token in ("token", "strange"):
            said[f"probe, {token}"] = run(*probe, *keep, "--token-file", str(files[token]))
            said[f"its ledger, {token}"] = files["ledger"].read_bytes()
            said[f"its page, {token}"] = files["html"].read_bytes()
            ends = ("--from-token-file", str(files[token]), "--to-token-file", str(files[token]))
            said[f"copy, {token}"] = run("copy", process.url, process.url, *ends)
            again = ("probe", "verify", str(files["ledger"]), process.url, "--json")
            said[f"verify, {token}"] = run(*again, COLLECTOR_TOKEN=files[token].read_text())
            files["ledger"].unlink()
        for scheme in ("http", "ftp"):
            bearing = f"{scheme}://me:{house.right.core}@{LOOPBACK}:{process.port}"
            said[f"probe {scheme}"] = run("probe", bearing, *keep)
            said[f"copy {scheme}"] = run("copy", bearing, process.url)
        said |= watched(process)
        said["log"] = ended(process)
    assert said["probe, token"].startswith(b"0\nCLEAN")
    assert leaks([*house.canaries, *strange.canaries], said) == []
