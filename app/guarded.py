"""Connections that keep to deadlines, and of which there are only so many: what becomes of those that do not fit.

Whoever has asked for something is told why it is not answered, unless that would be taken for the answer to
something else; who has not is let go without a word.
"""

import asyncio
import math
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.crowd import PROBES, Crowd
from app.deadlines import BODY, HEAD, IDLE, LEAVING, SILENT, Pace
from app.edge import MAX_HEAD, head_too_large
from app.errors import Overloaded, Problem, TooSlow
from app.shortcuts import Shortcuts

LINGER = 1.0  # seconds to hear the last word: closed at once, what a client still sends would destroy it


class Guarded(HttpToolsProtocol):
    """One client's connection, as it is looked after. Whoever inherits from this tells `pace` what comes."""

    def __init__(self, *arguments: Any, shortcuts: Shortcuts, crowd: Crowd, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.pace = Pace(crowd.deadlines)
        self._shortcuts = shortcuts
        self._crowd = crowd
        self._lines: list[tuple[bytes, bytes]] = []  # the headers of the request being read, once all are there
        self._guest = False  # whether it is here for one question alone
        self._unwelcome = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has come."""
        super().connection_made(transport)
        self._guest = not self._crowd.enter(self)
        self.pace.await_head(self.loop.time() + self._crowd.patience(guest=self._guest))

    def connection_lost(self, exc: Exception | None) -> None:
        """It has ended."""
        super().connection_lost(exc)
        self._crowd.leave(self)

    def send_400_response(self, msg: str) -> None:
        """What came is no HTTP. Where a whole request waits, this would be taken for its answer: it gets none."""
        if self._unwelcome:
            self._turn_away()
        elif self._owes_an_answer:
            self.transport.close()
        else:
            super().send_400_response(msg)

    @property
    def held(self) -> bool:
        """Whether what has come by half waits for us: for us to read, or for the answer before it."""
        if self.flow.read_paused or self.pipeline:
            return True
        return self.pace.stage == HEAD and self.cycle is not None and not self.cycle.response_complete

    def be_late(self) -> None:
        """It has not sent in time what it had to; or it has been idle for long, or has heard the last word."""
        stage = self.pace.stage
        if stage == LEAVING:
            self.transport.abort()
        elif self.transport.is_closing():
            return
        elif stage == IDLE:
            self._close()
        elif self._guest and stage != BODY:
            self._turn_away()
        else:
            self._crowd.cut({SILENT: "silent", HEAD: "slow_head", BODY: "slow_body"}[stage])
            self._tell_late(stage)

    @property
    def settled(self) -> bool:
        """Whether its client has taken all that it was answered."""
        return self.transport.get_write_buffer_size() == 0

    def make_room(self) -> None:
        """It is idle, and others want to come in."""
        self._crowd.cut("idle")
        self._close()

    def turn_away(self) -> None:
        """It is a guest that has not said what it wants, or has been told, and there are too many of those."""
        if self.pace.stage == LEAVING:
            self.transport.abort()
        elif self.pace.stage in (SILENT, HEAD):
            self._turn_away()

    @property
    def _owes_an_answer(self) -> bool:
        waits = self.cycle is not None and not (self.cycle.response_complete or self.cycle.more_body)
        return waits or bool(self.pipeline)

    def _greet(self) -> None:
        # Raising ends the parsing: what it asks for is not begun.
        if self._crowd.admit(self):
            self._guest = False
        elif self.url.partition(b"?")[0] not in PROBES:
            self._unwelcome = True
            raise ConnectionRefusedError

    def _turn_away(self) -> None:
        self._crowd.refused()
        writes = self.pace.stage == BODY and self.parser.get_method() not in (b"GET", b"HEAD")
        self._refuse(Overloaded("too many connections are open", outcome="not_kept" if writes else None))

    def _tell_late(self, stage: int) -> None:
        answered = stage == BODY and (self.cycle.response_started or self.cycle.response_complete)
        if stage == SILENT or answered:
            self._close()
            return
        if stage == BODY:
            self.cycle.disconnected = True  # its task ends as if the client had gone
            self.cycle.message_event.set()
        what = "head" if stage == HEAD else "body"
        self._refuse(TooSlow(f"the request's {what} did not come in time", outcome="not_kept"))

    def _refuse(self, problem: Problem) -> None:
        """The last word, unless it would be taken for the answer to a request that waits for one."""
        if self._owes_an_answer or self.transport.is_closing():
            self._close()
            return
        asked = self.pace.stage != SILENT
        common = self.server_state.default_headers
        lines = self._lines if self.pace.stage == BODY else self.headers or ()
        self.transport.write(self._shortcuts.last_word(problem, common, dict(lines), asked=asked))
        if asked:
            self.transport.write_eof()
            self.pace.leave(self.loop.time() + LINGER)
            self.flow.resume_reading()
        else:
            self._close()

    def _close(self) -> None:
        self.transport.close()
        self.pace.leave(math.inf)

    def _be_idle(self) -> None:
        self.pace.idle(self.loop.time() + self._crowd.deadlines.idle)

    def _note_read(self, before: int, length: int) -> None:
        """A read has left something half said. `before`: the stage before it."""
        if self.transport.is_closing():
            return
        self.pace.read(before, length, self.loop.time())
        if self.pace.stage == HEAD and self.pace.received > MAX_HEAD:
            self._crowd.cut("large_head")
            self._refuse(head_too_large())
