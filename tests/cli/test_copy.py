"""Copying one collector into another: all of it, under the same ids, as often as one likes."""

import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.cli import copy as copying
from app.cli import main
from tests.credentials import credential, lines
from tests.probe.conftest import judged
from tests.process import CollectorProcess

LARGE = 200_000  # characters: thirty of them are more than one request may have


async def test_everything_is_copied_with_its_id_and_again_without_a_duplicate(
    tmp_path: Path, postgres_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = tmp_path / "ledger"
    small = {"SQLITE_PATH": str(tmp_path / "log.db")}
    large = {"POSTGRES_CONNECTION_STRING": postgres_url}
    with CollectorProcess(env=small) as source, CollectorProcess(env=large) as target:
        await source.wait_until_ready(60)
        await target.wait_until_ready(60)
        await judged(source.url, "--rate=100", "--for=1s", "--batch=15", f"--ledger={ledger}")
        async with httpx.AsyncClient(trust_env=False) as client:
            # Without an id and without a time: the collector gives them, and they stay.
            anonymous = [{"source": "cron", "action": "run", "data": {"n": n}} for n in range(3)]
            await client.post(f"{source.url}/events", json=anonymous)
            for n in range(30):
                event = {"source": "big", "action": "a", "id": str(n), "data": f"{n}" + "x" * LARGE}
                await client.post(f"{source.url}/events", json=event)

            assert left("copy", source.url, target.url) == 0
            copied, there, rejected = map(int, re.findall(r"\d+", capsys.readouterr().out))
            # Where a commit took too long, what it had kept was found on the second attempt.
            assert (copied + there, rejected) == (1533, 0)
            assert (await judged("verify", str(ledger), target.url))["verdict"] == "clean"
            for wanted in ("source=cron", "source=big"):
                assert await given(client, target.url, wanted) == await given(client, source.url, wanted)

            await client.post(f"{source.url}/events", json=anonymous[0])
            assert left("copy", source.url, target.url) == 0
            assert capsys.readouterr().out == "1 copied, 1533 were there, 0 rejected\n"


async def given(client: httpx.AsyncClient, url: str, wanted: str) -> list[dict[str, Any]]:
    """What clients said, in the order of the log, without what each collector says itself."""
    answer = await client.get(f"{url}/events?order=asc&limit=100&{wanted}")
    own = ("seq", "received_at")
    return [{key: value for key, value in event.items() if key not in own} for event in answer.json()]


async def test_a_conflict_is_told_and_the_others_are_copied(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = (CollectorProcess(env={"SQLITE_PATH": str(tmp_path / name)}) for name in ("one", "other"))
    with one, other:
        await one.wait_until_ready(60)
        await other.wait_until_ready(60)
        event = {"source": "s", "action": "a", "id": "1"}
        async with httpx.AsyncClient(trust_env=False) as client:
            await client.post(f"{one.url}/events", json=[event, event | {"id": "2"}])
            await client.post(f"{other.url}/events", json=event | {"data": "other"})
            assert left("copy", one.url, other.url) == 1
            said = capsys.readouterr()
            assert "another event with this source and id" in said.err
            assert said.out == "1 copied, 0 were there, 1 rejected\n"


async def test_each_side_gets_its_own_token(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reads, writes, sender = credential(scopes=("read",)), credential(scopes=("write",)), credential()
    one = CollectorProcess(env={"SQLITE_PATH": str(tmp_path / "one"), "TOKENS": lines(reads, sender)})
    other = CollectorProcess(env={"SQLITE_PATH": str(tmp_path / "other"), "TOKENS": writes.line})
    with one, other:
        await one.wait_until_ready(60)
        await other.wait_until_ready(60)
        async with httpx.AsyncClient(trust_env=False, headers=sender.headers) as client:
            await client.post(f"{one.url}/events", json={"source": "s", "action": "a"})
        words = ["copy", one.url, other.url]
        assert left(*words) == 1
        assert "was answered 401" in capsys.readouterr().err
        for end, who in (("from", reads), ("to", writes)):
            file = tmp_path / end
            file.write_text(f"{who.secret}\n")
            words.append(f"--{end}-token-file={file}")
        assert left(*words) == 0
        said = capsys.readouterr().out
        assert said.startswith("1 copied")
        assert reads.secret not in said
        words[-1] += ".not"
        assert left(*words) == 2


def left(*words: str) -> object:
    with pytest.raises(SystemExit) as caught:
        main(words)
    return caught.value.code


async def test_it_ends_where_nobody_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(copying, "PATIENCE", 0)
    with CollectorProcess(env={"SQLITE_PATH": str(tmp_path / "log")}) as process:
        await process.wait_until_ready(60)
        async with httpx.AsyncClient(trust_env=False) as client:
            await client.post(f"{process.url}/events", json={"source": "s", "action": "a"})
        assert left("copy", process.url, "http://127.0.0.1:9") == 3
        assert "does not answer" in capsys.readouterr().err
        assert left("copy", process.url, f"{process.url}/nowhere") == 1
        assert "404" in capsys.readouterr().err
