"""Some: four events that differ in all that can be asked for."""

from datetime import datetime, timedelta

from tests.http.serving import Json, event

NOON = datetime.fromisoformat("2024-05-01T12:00:00+00:00")
SOME: tuple[Json, ...] = (
    {"id": "1", "action": "build", "subject": "shop", "data": {"ok": True, "tags": ["a", {"deep": 1.5}]}},
    {"id": "2", "action": "build", "subject": "cart", "data": {"ok": False, "note": "Straße 100% OK_"}},
    {"id": "3", "action": "deploy", "subject": "shop", "data": "a text"},
    {"id": "4", "action": "deploy", "data": None},
)


def at(minutes: float) -> str:
    return (NOON + timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z")


def some(source: str) -> list[Json]:
    """Four events, ten minutes apart from noon on."""
    return [event(source, time=at(10 * n), **one) for n, one in enumerate(SOME)]
