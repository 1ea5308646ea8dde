"""Structured logs: one line for each event of note, never one for each failed request.

JSON escapes every control character, so nothing that a client sends can forge a line or move a cursor.
"""

import logging
import logging.config
import sys
from collections import defaultdict
from typing import Literal

import structlog

IDS_A_LINE = 200
_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


def configure(level: str, style: Literal["auto", "json", "console"]) -> None:
    """Send our lines and those of the libraries to standard error, in one form."""
    shared: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _in_order,
    ]
    people = style == "console" or (style == "auto" and sys.stderr.isatty())
    tail: list[structlog.typing.Processor] = (
        # A plain traceback: one that shows what the variables hold would show tokens and passwords.
        [structlog.dev.ConsoleRenderer(pad_event_to=24, exception_formatter=structlog.dev.plain_traceback)]
        if people
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[*shared, *tail],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *tail],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    # It logs a stack for what the edge has logged already, and a line for each request that is no HTTP.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL + 1)


def _in_order(_: object, __: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:
    first = ("timestamp", "level", "event")
    return {name: line.pop(name) for name in first} | dict(line)


class Refusals:
    """Requests that were answered 503: every id stands in exactly one line, and a second has one line a cause."""

    def __init__(self) -> None:
        self._ids: dict[str, list[str]] = defaultdict(list)

    def add(self, cause: str, request_id: str) -> None:
        """Note a request."""
        self._ids[cause].append(request_id)

    def flush(self) -> None:
        """Write what was noted. Called about once a second, and at the end."""
        noted, self._ids = self._ids, defaultdict(list)
        for cause, ids in noted.items():
            for start in range(0, len(ids), IDS_A_LINE):
                part = ids[start : start + IDS_A_LINE]
                log.warning("requests refused", cause=cause, count=len(part), request_ids=part)
