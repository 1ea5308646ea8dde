"""The queue file: what was queued is stored once and in order, whoever dies, and however many use it."""

import json
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from app.cli.exits import Exit
from app.cli.incoming import Item
from app.cli.queue import Queue
from tests.cli.conftest import Call, Events
from tests.cli.saying import started

Kept = Callable[[], Events]
AWAY = ("--url", "http://127.0.0.1:9", "--wait", "0")


@pytest.fixture
def queue(tmp_path: Path) -> Path:
    return tmp_path / "queue"


def test_while_the_collector_is_away_events_wait_and_leave_in_order(
    call: Call, source: str, kept: Kept, queue: Path
) -> None:
    words = ("send", "--queue", str(queue), "--source", source)
    for n in range(2):
        told = call(*words, "--action", str(n), *AWAY)
        assert (told.code, told.err.splitlines()[-1]) == (Exit.QUEUED, f"{n + 1} queued")
    assert call("send", "--queue", str(queue), "--flush", *AWAY).code == Exit.QUEUED
    assert kept() == []
    told = call(*words, "--action", "2")
    assert (told.code, told.err) == (Exit.DONE, "3 stored, 0 rejected\n")
    assert [one["action"] for one in kept()] == ["0", "1", "2"]
    assert call("send", "--queue", str(queue), "--flush").err == "0 stored, 0 rejected\n"


def test_who_is_killed_leaves_them_in_the_queue(call: Call, source: str, kept: Kept, queue: Path) -> None:
    lines = "".join(json.dumps({"source": source, "action": str(n)}) + "\n" for n in range(1500))
    process = started("send", "--queue", str(queue), "--url", "http://127.0.0.1:9", stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(lines.encode())
    process.stdin.flush()
    deadline = time.monotonic() + 60
    while not queue.exists() or waiting(queue) < 1500:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    told = call("send", "--queue", str(queue), "--flush")
    assert (told.code, told.err) == (Exit.DONE, "1500 stored, 0 rejected\n")
    assert [one["action"] for one in kept()] == [str(n) for n in range(1000)]


def test_what_was_sent_and_not_yet_taken_out_is_a_duplicate(
    call: Call, source: str, kept: Kept, queue: Path
) -> None:
    with sqlite3.connect(queue):
        call("send", "--queue", str(queue), "--source", source, "--action", "a", *AWAY)
        before = queue.read_bytes()
        assert call("send", "--queue", str(queue), "--flush").err == "1 stored, 0 rejected\n"
    queue.write_bytes(before)
    assert call("send", "--queue", str(queue), "--flush").err == "0 stored, 1 were there, 0 rejected\n"
    assert len(kept()) == 1


def test_several_at_once(url: str, source: str, kept: Kept, queue: Path) -> None:
    def one(name: int) -> subprocess.Popen[bytes]:
        lines = "".join(json.dumps({"source": f"{source}.{name}", "action": str(n)}) + "\n" for n in range(60))
        file = queue.with_name(str(name))
        file.write_text(lines)
        return started("send", str(file), "--queue", str(queue), "--url", url, "--wait", "60")

    running = [one(name) for name in range(4)]
    told = [(process, process.communicate(timeout=60)[1].decode()) for process in running]
    assert [(process.returncode, words) for process, words in told if process.returncode != Exit.DONE] == []
    found = kept()
    assert len(found) == 240
    for name in range(4):
        assert [e["action"] for e in found if e["source"] == f"{source}.{name}"] == [str(n) for n in range(60)]
    assert waiting(queue) == 0


def test_one_may_be_made_while_another_looks_at_it(queue: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    makers: list[threading.Thread] = []

    class Looking(sqlite3.Connection):
        def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
            answer = super().execute(statement, *values)
            if "application_id" in statement and not makers:
                makers.append(threading.Thread(target=lambda: Queue(queue).close()))
                makers[0].start()
                makers[0].join(0.5)  # it is done, or waits for who looks
            return answer

    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Looking))
    Queue(queue).close()
    makers[0].join()
    assert waiting(queue) == 0


def test_what_is_rejected_is_put_aside_and_holds_up_nobody(
    call: Call, source: str, kept: Kept, queue: Path, tmp_path: Path
) -> None:
    file = tmp_path / "events"
    file.write_text(f'{{"source": "", "action": "a"}}\n{{"source": "{source}", "action": "b"}}\nno json\n')
    told = call("send", str(file), "--queue", str(queue))
    assert told.code == Exit.FAILED
    assert "line 3: it is no JSON object" in told.err
    assert "source is empty" in told.err
    assert told.err.endswith("1 stored, 2 rejected\n")
    assert len(kept()) == 1
    with sqlite3.connect(queue) as file_:
        ((event, reason),) = file_.execute("SELECT event, reason FROM rejected").fetchall()
    assert (json.loads(event)["source"], reason) == ("", "source is empty")
    assert call("send", "--queue", str(queue), "--flush").code == Exit.DONE


def test_another_process_that_sends_is_waited_for(queue: Path) -> None:
    one, other = Queue(queue), Queue(queue)
    with one.sending(0) as alone, other.sending(0.2) as both:
        assert (alone, both) == (True, False)
        assert list(other.append([Item("", b"{}")] * 2)) == [1, 2]
        assert list(one.append([Item("", b"{}")])) == [3]
    with other.sending(0) as alone:
        assert alone
    assert (one.waiting(range(2, 4)), one.waiting()) == (2, 3)
    one.close()
    other.close()


def test_what_is_no_queue_is_left_alone(call: Call, queue: Path) -> None:
    with sqlite3.connect(queue) as file:
        file.execute("CREATE TABLE events (n)")
    file.close()
    before = queue.read_bytes()
    told = call("send", "--queue", str(queue), "--source", "s", "--action", "a")
    assert (told.code, "something else" in told.err) == (Exit.WRONG, True)
    assert queue.read_bytes() == before
    queue.write_text("no database at all, but text that is long enough to be looked at " * 20)
    assert call("send", "--queue", str(queue), "--source", "s", "--action", "a").code == Exit.WRONG
    assert call("send", "--queue", "/nowhere/q", "--source", "s", "--action", "a").code == Exit.WRONG


def waiting(queue: Path) -> int:
    file = sqlite3.connect(queue, timeout=30)
    try:
        return int(file.execute("SELECT count(*) FROM waiting").fetchone()[0])
    except sqlite3.OperationalError:  # not made yet
        return 0
    finally:
        file.close()
