"""Logs: whatever the text, one line of JSON an event."""

import io
import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from app import logs
from app.logs import IDS_A_LINE, Refusals, configure

ODD = ["\n", "\r\n", "\x1b[2J", "\0", "\u2028", "\u202e", "\ud800", '"}\n{"', "%s %d", "\x85", "{}"]
TEXTS = st.text(st.characters(), max_size=30) | st.sampled_from(ODD)


@contextmanager
def written(level: str = "info", style: Any = "json") -> Iterator[io.StringIO]:
    """What is logged meanwhile, on standard error that is no terminal."""
    stream = io.StringIO()
    root = logging.getLogger()
    was = root.handlers[:], root.level, logging.getLogger("uvicorn.error").level
    root.handlers[:] = []  # ours would close those of pytest
    try:
        with patch.object(sys, "stderr", stream), patch.object(logs, "log", structlog.get_logger()):
            configure(level, style)
            yield stream
    finally:
        structlog.reset_defaults()
        root.handlers[:] = was[0]
        root.setLevel(was[1])
        logging.getLogger("uvicorn.error").setLevel(was[2])


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    text = stream.getvalue()
    assert text.isascii()
    assert not text or text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


@given(TEXTS, TEXTS, st.lists(TEXTS, max_size=3))
def test_any_text_is_one_line_that_can_be_read(event: str, value: str, many: list[str]) -> None:
    with written() as stream:
        logs.log.info(event, value=value, many=many, nested={value: event})
    [line] = lines(stream)
    assert line["event"] == event
    assert (line["value"], line["many"], line["nested"]) == (value, many, {value: event})


@given(TEXTS)
def test_any_text_of_a_library_is_one_line_too(text: str) -> None:
    with written() as stream:
        logging.getLogger("library").warning("%s", text)
    [line] = lines(stream)
    assert (line["event"], line["level"]) == (text, "warning")


@given(TEXTS)
def test_an_exception_is_part_of_its_line(text: str) -> None:
    error = ValueError(text)
    with written() as stream:
        logs.log.error("failed", error=repr(error), exc_info=error)
        logging.getLogger("library").error("failed", exc_info=error)
    for line in lines(stream):
        assert line["event"] == "failed"
        assert line["exception"].startswith("ValueError")


def test_a_line_begins_with_its_time_its_level_and_what_happened() -> None:
    with written() as stream:
        logs.log.warning("odd", a=1)
        logging.getLogger("library").warning("odd")
    for line in lines(stream):
        assert list(line)[:3] == ["timestamp", "level", "event"]
        assert line["timestamp"].endswith("Z")


@pytest.mark.parametrize(("level", "said"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_only_what_is_at_least_the_level_is_written(level: str, said: int) -> None:
    with written(level) as stream:
        for write in (logs.log.debug, logs.log.info, logs.log.warning, logs.log.error):
            write("said")
    assert len(lines(stream)) == said


def test_libraries_say_only_what_is_a_warning_and_the_server_nothing() -> None:
    with written("debug") as stream:
        logging.getLogger("library").info("said")
        logging.getLogger("uvicorn.error").error("said")
        logging.getLogger("uvicorn.error").warning("said")
    assert lines(stream) == []


def test_without_a_terminal_auto_is_json() -> None:
    with written(style="auto") as stream:
        logs.log.info("said", a=1)
    assert lines(stream)[0]["a"] == 1


def test_for_people_it_is_text() -> None:
    with written(style="console") as stream:
        logs.log.info("said", a=1)
        logging.getLogger("library").warning("heard")
    assert "said" in stream.getvalue()
    assert "heard" in stream.getvalue()
    assert not stream.getvalue().startswith("{")


def test_refused_requests_have_one_line_a_cause() -> None:
    refusals = Refusals()
    with written() as stream:
        for cause, id_ in (("draining", "1"), ("overloaded", "2"), ("draining", "3")):
            refusals.add(cause, id_)
        refusals.flush()
        refusals.flush()
    found = lines(stream)
    assert {(line["event"], line["level"]) for line in found} == {("requests refused", "warning")}
    assert [(line["cause"], line["count"], line["request_ids"]) for line in found] == [
        ("draining", 2, ["1", "3"]),
        ("overloaded", 1, ["2"]),
    ]


@pytest.mark.parametrize("count", [1, IDS_A_LINE, IDS_A_LINE + 1, 3 * IDS_A_LINE])
def test_every_refused_request_stands_in_exactly_one_line(count: int) -> None:
    refusals, ids = Refusals(), [str(number) for number in range(count)]
    with written() as stream:
        for id_ in ids:
            refusals.add("draining", id_)
        refusals.flush()
    found = lines(stream)
    assert [id_ for line in found for id_ in line["request_ids"]] == ids
    assert len(found) == -(-count // IDS_A_LINE)
    assert all(line["count"] == len(line["request_ids"]) for line in found)
