"""`collector copy FROM TO`: every event of one collector into another, under its own id. httpx.

What is sent is what was read, so that a second run finds duplicates where the first one wrote: it may be ended and
begun again at any time, and the last run before the clients move over brings what came since. `seq` and
`received_at` are the target's own.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import httpx
import msgspec

PAGE = 1000  # events read at once, the most that a page has and by default the most that a POST may
BODY_BYTES = 4 * 2**20  # of events sent at once; a POST may have 5 MiB
ANSWER_SECONDS = 30.0
PATIENCE = 60.0  # seconds for a collector that is away, or answers 503
PAUSE = 1.0  # seconds between attempts
TELL_EVERY = 5.0  # seconds
OFTEN_TOLD = 10  # rejected events that are named
AWAY = (429, 502, 503, 504)
COMMITTED = {"Content-Type": "application/x-ndjson", "Prefer": "durability=committed"}

Say = Callable[[str], None]
_decode_page = msgspec.json.Decoder(list[msgspec.Raw]).decode


class CopyError(Exception):
    """It cannot go on; the message says why."""


class _Result(msgspec.Struct, frozen=True):
    index: int
    status: str
    error: dict[str, str] | None = None


class _Receipt(msgspec.Struct, frozen=True):
    accepted: int
    duplicates: int
    rejected: int
    results: list[_Result]


_decode_receipt = msgspec.json.Decoder(_Receipt).decode


@dataclass(slots=True)
class _Tally:
    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    told: float = field(default_factory=time.monotonic)

    def __str__(self) -> str:
        return f"{self.accepted} copied, {self.duplicates} were there, {self.rejected} rejected"


@dataclass(frozen=True, slots=True)
class End:
    """A collector: its URL, and the token for it, if it asks for one."""

    url: str
    token: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        """Who asks."""
        return {} if self.token is None else {"Authorization": f"Bearer {self.token}"}


def copy(source: End, target: End, say: Say) -> int:
    """Copy all events, oldest first. Returns the exit code: 0 done, 1 not all is there; `say` gets lines."""
    tally = _Tally()
    try:
        with httpx.Client(timeout=ANSWER_SECONDS) as client:
            for page in _pages(client, source):
                for part in _parts(page):
                    _send(client, target, part, tally, say)
                if time.monotonic() - tally.told > TELL_EVERY:
                    tally.told = time.monotonic()
                    say(f"{tally} so far")
    except CopyError as error:
        say(f"{tally}; then {error}")
        return 1
    say(str(tally))
    return 1 if tally.rejected else 0


def _pages(client: httpx.Client, source: End) -> Iterator[list[msgspec.Raw]]:
    url = httpx.URL(f"{source.url}/events", params={"order": "asc", "limit": PAGE})
    while True:
        answer = _asked(client, client.build_request("GET", url, headers=source.headers))
        events = _decode_page(answer.content)
        if not events:
            return
        yield events
        # Its path alone: the token goes to nobody whom an answer names.
        url = url.copy_with(raw_path=url.join(answer.links["next"]["url"]).raw_path)


def _parts(page: Sequence[msgspec.Raw]) -> Iterator[list[bytes]]:
    """The events of a page, as many at a time as one request may carry."""
    part: list[bytes] = []
    size = 0
    for event in page:
        text = bytes(event)
        if size + len(text) > BODY_BYTES:
            yield part
            part, size = [], 0
        part.append(text)
        size += len(text) + 1
    yield part


def _send(client: httpx.Client, target: End, part: Sequence[bytes], tally: _Tally, say: Say) -> None:
    headers = COMMITTED | target.headers
    request = client.build_request("POST", f"{target.url}/events", content=b"\n".join(part), headers=headers)
    receipt = _decode_receipt(_asked(client, request).content)
    tally.accepted += receipt.accepted
    tally.duplicates += receipt.duplicates
    for one in receipt.results:
        if one.status == "rejected":
            tally.rejected += 1
            if tally.rejected <= OFTEN_TOLD:
                say(f"rejected: {(one.error or {}).get('detail')}: {part[one.index].decode()[:200]}")


def _asked(client: httpx.Client, request: httpx.Request) -> httpx.Response:
    """Ask until there is an answer: with ids, sending again is safe. Raises CopyError."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            answer = client.send(request)
        except httpx.TransportError as error:
            reason = f"{request.url.host} does not answer: {error}"
        else:
            if answer.is_success:
                return answer
            where = request.url.copy_with(userinfo=b"")  # which may be a password
            reason = f"{request.method} {where} was answered {answer.status_code}: {answer.text[:500]}"
            if answer.status_code not in AWAY:
                raise CopyError(reason)
        if time.monotonic() > until:
            raise CopyError(reason)
        time.sleep(PAUSE)
