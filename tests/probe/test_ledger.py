"""The history survives what becomes of the probe."""

import os
from pathlib import Path
from random import Random

import msgspec
import pytest

from app.probe import faults, ledger
from app.probe.faults import FaultLogError
from app.probe.history import history
from app.probe.ledger import Ledger, LedgerError
from tests.probe.test_verdict import made


def written(path: Path, *, batch: int = 1) -> list[ledger.Record]:
    records = made(Random(1), batch=batch, replicas=2).records
    with Ledger(path) as book:
        for record in records:
            book.append(record)
    return records


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    records = written(path, batch=3)
    assert ledger.read(path) == records
    assert history(ledger.read(path)).fates() == history(records).fates()
    assert path.read_bytes().count(b"\n") == len(records)


def test_a_line_is_in_the_file_before_the_next_step(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    book = Ledger(path)
    for number, record in enumerate(made(Random(1)).records, 1):
        book.append(record)
        assert len(ledger.read(path)) == number


def test_a_last_line_that_was_cut_off_is_no_line(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    records = written(path)
    whole = path.read_bytes()
    last = whole.rstrip(b"\n").rfind(b"\n") + 1
    for length in range(last, len(whole)):
        path.write_bytes(whole[:length])
        assert ledger.read(path) == records[:-1]


def test_a_history_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    written(path)
    with pytest.raises(LedgerError, match="exists already"):
        Ledger(path)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")  # noqa: PTH110 - a device
def test_a_disk_that_is_full_ends_the_run(tmp_path: Path) -> None:
    book = Ledger(tmp_path / "ledger")
    os.dup2(os.open("/dev/full", os.O_WRONLY), book._file or 0)
    with pytest.raises(OSError, match="space"):
        book.append(made(Random(1)).records[0])
    assert book.records == []


@pytest.mark.parametrize("text", [b"", b"\n", b"nonsense\n", b'{"event":"end","at":1,"wall":1.0}\n', b"\xff\n"])
def test_what_is_no_ledger_is_told_in_a_line(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "ledger"
    path.write_bytes(text)
    with pytest.raises(LedgerError) as told:
        ledger.read(path)
    assert "\n" not in str(told.value)
    assert str(path) in str(told.value)


def test_a_line_in_the_middle_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    written(path)
    lines = path.read_bytes().split(b"\n")
    lines[2] = lines[2][:-3]
    path.write_bytes(b"\n".join(lines))
    with pytest.raises(LedgerError, match="line 3"):
        ledger.read(path)


def test_the_fault_log_is_read_while_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "faults"
    lines = [
        {"event": "plan", "seed": 7, "scenario": "kill"},
        {"event": "begin", "fault": 2, "kind": "kill", "target": "a", "at": 20.0},
        {"event": "begin", "fault": 1, "kind": "stall", "target": "b", "at": 10.0},
        {"event": "end", "fault": 2, "at": 21.5, "effect": "restarted"},
    ]
    text = b"\n".join(map(msgspec.json.encode, lines))
    for cut_off in (b"", b"\n", b'\n{"event": "end", "fau'):
        path.write_bytes(text + cut_off)
        first, second = faults.read(path)
        assert (first.kind, first.begin, first.end, first.effect) == ("stall", 10.0, None, None)
        assert (second.kind, second.begin, second.end, second.effect) == ("kill", 20.0, 21.5, "restarted")


@pytest.mark.parametrize("text", [b"nonsense\n", b'{"event":"end","fault":1,"at":1}\n', b'{"event":"begin"}\n'])
def test_what_is_no_fault_log_is_told(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "faults"
    path.write_bytes(text)
    with pytest.raises(FaultLogError, match="is no fault log"):
        faults.read(path)
