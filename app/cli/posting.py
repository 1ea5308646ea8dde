"""Events to the collector, as many at a time as a request may carry; what became of each of them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from app.cli.caller import Caller, Refused
from app.cli.incoming import Item

MAX_EVENTS = 1000  # of a request
MAX_BYTES = 4 * 2**20  # of a request's body, which may have 5 MiB
NDJSON = {"Content-Type": "application/x-ndjson"}
COMMITTED = {**NDJSON, "Prefer": "durability=committed"}
_TOO_LARGE, _INVALID = 413, 422

Reject = Callable[[Item, str], None]


class _Error(msgspec.Struct, frozen=True):
    detail: str = "rejected"


class _Result(msgspec.Struct, frozen=True):
    index: int
    status: str
    error: _Error = _Error()


class _Receipt(msgspec.Struct, frozen=True):
    accepted: int
    duplicates: int
    rejected: int
    spooled: int = 0
    results: tuple[_Result, ...] = ()


_decode_receipt = msgspec.json.Decoder(_Receipt).decode


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of events."""

    stored: int = 0
    spooled: int = 0
    duplicates: int = 0
    rejected: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.stored + other.stored,
            self.spooled + other.spooled,
            self.duplicates + other.duplicates,
            self.rejected + other.rejected,
        )

    def __str__(self) -> str:
        said = [f"{self.stored} stored"]
        said += [f"{self.spooled} spooled"] if self.spooled else []
        said += [f"{self.duplicates} were there"] if self.duplicates else []
        return ", ".join([*said, f"{self.rejected} rejected"])


def batches(items: Iterable[Item | None]) -> Iterator[list[Item]]:
    """The items, as many at a time as one request may carry; fewer where no more came for a moment."""
    batch: list[Item] = []
    size = 0
    for one in items:
        full = one is not None and (len(batch) == MAX_EVENTS or size + len(one.text) > MAX_BYTES)
        if batch and (one is None or full):
            yield batch
            batch, size = [], 0
        if one is not None:
            batch.append(one)
            size += len(one.text) + 1
    if batch:
        yield batch


class Poster:
    """Sends batches to a collector."""

    def __init__(self, caller: Caller, *, committed: bool = False) -> None:
        self._caller = caller
        self._headers = COMMITTED if committed else NDJSON

    def post(self, items: Sequence[Item], reject: Reject) -> Tally:
        """Send them; `reject` hears of each that was not taken. Raises Away, Refused where all of it is wrong."""
        good = []
        for one in items:
            if one.fault is None:
                good.append(one)
            else:
                reject(one, one.fault)
        return Tally(rejected=len(items) - len(good)) + (self._post(good, reject) if good else Tally())

    def _post(self, items: Sequence[Item], reject: Reject) -> Tally:
        body = b"\n".join([one.text for one in items])
        try:
            receipt = _decode_receipt(self._caller.post("/events", body, self._headers).content)
        except Refused as refused:
            return self._refused(items, refused, reject)
        for result in receipt.results:
            if result.status == "rejected":
                reject(items[result.index], result.error.detail)
        return Tally(receipt.accepted, receipt.spooled, receipt.duplicates, receipt.rejected)

    def _refused(self, items: Sequence[Item], refused: Refused, reject: Reject) -> Tally:
        """Every event is bad, or together they are too many for this collector. Raises Refused for all else."""
        if refused.status == _TOO_LARGE and len(items) > 1:
            half = len(items) // 2
            return self._post(items[:half], reject) + self._post(items[half:], reject)
        if refused.status not in (_TOO_LARGE, _INVALID):
            raise refused
        reasons = {fault.index: fault.detail for fault in refused.problem.errors}
        for index, one in enumerate(items):
            reject(one, reasons.get(index, refused.problem.detail))
        return Tally(rejected=len(items))
