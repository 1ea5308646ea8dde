"""`collector dead-letters`: what the spool took and the database did not, shown and stored again."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import msgspec

from app.errors import Unavailable
from app.events import Event
from app.logs import configure
from app.settings import Settings
from app.store import Letter, Store
from app.store.choice import open_store

PAGE = 100  # letters read at once

Say = Callable[[str], None]
_decode = msgspec.msgpack.Decoder(Event).decode
_COLUMNS = "{:24}  {:20}  {:20}  {:36}  {}"


def show(settings: Settings, say: Say) -> int:
    """Print a line for each. Returns the exit code: 0, or 1 where the database did not answer."""
    return _run(settings, say, lambda store: _show(store, say))


def replay(settings: Settings, ids: Sequence[str], say: Say) -> int:
    """Try to store them again: those named, or all. Returns the exit code: 1 where some are left, or not there."""
    return _run(settings, say, lambda store: _replay(store, ids, say))


def _run(settings: Settings, say: Say, act: Callable[[Store], Awaitable[int]]) -> int:
    configure(settings.log_level, settings.log_format)

    async def run() -> int:
        store = open_store(settings, on_unreplicated=lambda: None)
        try:
            return await act(store)
        except Unavailable as problem:
            say(problem.detail)
            return 1
        finally:
            await store.close()

    return asyncio.run(run())


async def _show(store: Store, say: Say) -> int:
    count = 0
    async for letter in _all(store):
        if not count:
            say(_COLUMNS.format("ID", "SINCE", "SOURCE", "EVENT", "REASON"))
        count += 1
        since = f"{letter.at:%Y-%m-%dT%H:%M:%SZ}"
        say(
            _COLUMNS.format(
                letter.id, since, _plain(letter.source), _plain(letter.event_id), _plain(letter.reason)
            )
        )
    say(f"{count} dead letters")
    return 0


async def _replay(store: Store, ids: Sequence[str], say: Say) -> int:
    wanted = set(ids)
    stored = left = 0
    async for letter in _all(store):
        if ids and letter.id not in wanted:
            continue
        wanted.discard(letter.id)
        reason = await _again(store, letter)
        if reason:
            left += 1
            say(f"{letter.id}: {_plain(reason)}")
        else:
            stored += 1
    for missing in sorted(wanted):
        say(f"{missing}: there is no such dead letter")
    say(f"{stored} stored, {left} left")
    return 1 if left or wanted else 0


async def _again(store: Store, letter: Letter) -> str:
    """Store it and forget the letter; why not, if not. Killed in between, the next replay finds a duplicate."""
    try:
        event = _decode(letter.body)
    except (msgspec.DecodeError, ValueError) as error:
        return f"it cannot be read: {error}"
    try:
        (kept,) = await store.keep([event], False)  # noqa: FBT003
    except Unavailable:
        raise
    except Exception as error:  # noqa: BLE001 - what the database refuses stays where it is
        return repr(error)
    if kept.state not in ("new", "duplicate"):
        return kept.reason or letter.reason
    await store.letters.remove([letter.id])
    return ""


async def _all(store: Store) -> AsyncIterator[Letter]:
    after = ""
    while page := await store.letters.page(after, PAGE):
        for letter in page:
            yield letter
        after = page[-1].id


def _plain(text: str) -> str:
    """For a terminal, which control characters would move."""
    return "".join(character if character.isprintable() else "?" for character in text)
