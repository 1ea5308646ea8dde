"""Ways: how one event comes in, each as a request, and what becomes of an odd one on it."""

import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote_from_bytes

from tests.hooks.deliveries import SECRETS, signed
from tests.hostile.corpus import Expected, OddEvent

JSON = {"Content-Type": "application/json"}
NEIGHBOUR = "neighbour"  # the action of the good events before and after the odd one
ALONE = (422, 413, 400)  # the statuses of an odd event that comes alone
_CLOUD = {"specversion": b'"1.0"'}


@dataclass(frozen=True, kw_only=True, slots=True)
class Sent:
    """A request. `place`: of the odd event in its body; None: it is alone."""

    path: str = "/events"
    headers: Mapping[str, str | bytes]
    body: bytes
    place: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Way:
    """`make`: the request of an event from this source, None where the way has none like it."""

    make: Callable[[OddEvent, str], Sent | None]
    dialect: str = "own"


def expected(case: OddEvent, name: str) -> Expected | None:
    """What is expected of an event on a way; None: it does not go that way."""
    found: Expected | None = case.expected
    for step in (WAYS[name].dialect, name):
        differs = case.ways.get(step, {})
        found = None if differs is None or found is None else replace(found, **differs)
    return found


def _single(case: OddEvent, source: str) -> Sent:
    return Sent(headers=JSON, body=_own(case, source))


def _batch(case: OddEvent, source: str) -> Sent:
    good = _good(source)
    return Sent(headers=JSON, body=b"[%b,%b,%b]" % (good, _own(case, source), good), place=1)


def _lines(case: OddEvent, source: str) -> Sent:
    good, own = _good(source), _own(case, source)
    body = b"\n".join((good, own.replace(b"\n", b" "), good))
    return Sent(headers={"Content-Type": "application/x-ndjson"}, body=body, place=1)


def _structured(case: OddEvent, source: str) -> Sent:
    return Sent(headers={"Content-Type": "application/cloudevents+json"}, body=_cloud(case, source))


def _batched(case: OddEvent, source: str) -> Sent:
    good = _object({**_CLOUD, "id": _fresh(), "source": _json(source), "type": _json(NEIGHBOUR)})
    body = b"[%b,%b]" % (_cloud(case, source), good)
    return Sent(headers={"Content-Type": "application/cloudevents-batch+json"}, body=body, place=0)


def _binary(case: OddEvent, source: str) -> Sent | None:
    if case.text is not None:
        return None
    fields = {**_CLOUD, "id": _fresh(), **_renamed(case, source)}
    data = fields.pop("data", b"")
    try:
        attributes = {name: json.loads(text) for name, text in fields.items()}
    except (RecursionError, ValueError):
        return None
    if not all(isinstance(value, str) and name.isalnum() for name, value in attributes.items()):
        return None  # a header knows texts only
    headers = {f"ce-{name}": _header(value) for name, value in attributes.items()}
    return Sent(headers={**JSON, **headers}, body=data)


def _standard(case: OddEvent, source: str) -> Sent:
    text = case.text if case.text is not None else _object({**_renamed(case, source), **_named(case)})
    headers = {"webhook-id": secrets.token_hex(8)}
    return Sent(path="/hooks/standard", headers=signed("standard", headers, text, now=time.time()), body=text)


def _github(case: OddEvent, source: str) -> Sent:
    text = case.text if case.text is not None else _object({**_renamed(case, source), **_named(case)})
    headers = {"x-github-event": "push", "x-github-delivery": secrets.token_hex(8), **JSON}
    return Sent(path="/hooks/github", headers=signed("github", headers, text), body=text)


WAYS: Mapping[str, Way] = {
    "single": Way(make=_single),
    "batch": Way(make=_batch),
    "lines": Way(make=_lines),
    "structured": Way(make=_structured, dialect="cloud"),
    "batched": Way(make=_batched, dialect="cloud"),
    "binary": Way(make=_binary, dialect="cloud"),
    "standard": Way(make=_standard, dialect="hook"),
    "github": Way(make=_github, dialect="hook"),
}
HOOKS = {name: {"kind": name, "secrets": [secret]} for name, secret in SECRETS.items()}


def _own(case: OddEvent, source: str) -> bytes:
    return case.text or _object({"source": _json(source), "action": b'"a"', **case.fields})


def _cloud(case: OddEvent, source: str) -> bytes:
    return case.text or _object({**_CLOUD, "id": _fresh(), **_renamed(case, source)})


def _renamed(case: OddEvent, source: str) -> dict[str, bytes]:
    """The fields as CloudEvents, and as it happens Standard Webhooks, call them."""
    fields = {"source": _json(source), "action": b'"a"', **case.fields}
    return {"type" if name == "action" else name: text for name, text in fields.items()}


def _named(case: OddEvent) -> dict[str, bytes]:
    return {"timestamp": case.fields["time"]} if "time" in case.fields else {}


def _object(fields: Mapping[str, bytes]) -> bytes:
    return b"{%b}" % b",".join(_json(name) + b":" + text for name, text in fields.items())


def _good(source: str) -> bytes:
    return _object({"source": _json(source), "action": _json(NEIGHBOUR)})


def _fresh() -> bytes:
    return _json(secrets.token_hex(8))


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _header(value: str) -> bytes:
    return quote_from_bytes(value.encode("utf-8", "surrogatepass")).encode()
