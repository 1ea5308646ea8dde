"""What replicas share: pages and news, through the Redis that the settings name; else nothing."""

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from app.cache import NoShelf, Shelf
from app.feed import News, NoNews
from app.health import Beat
from app.metrics import Metrics
from app.settings import Settings
from app.store import Store


async def _nothing() -> None:
    """There is nothing to let go of."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Replicas:
    """`run` is the loop that it needs, if any; `close` lets go of every connection."""

    shelf: Shelf
    news: News
    run: Callable[[Beat], Coroutine[Any, Any, None]] | None = None
    close: Callable[[], Awaitable[None]] = _nothing


def open_replicas(settings: Settings, store: Store, metrics: Metrics) -> Replicas:
    """What is shared by the replicas of this log; not yet connected."""
    if settings.redis_url is None:
        return Replicas(shelf=NoShelf(), news=NoNews())
    from app.link import Link  # noqa: PLC0415 - only who has a Redis waits for its client to load
    from app.news import RedisNews  # noqa: PLC0415
    from app.shelf import RedisShelf  # noqa: PLC0415

    url = settings.redis_url.get_secret_value()
    link = Link(url, metrics)
    news = RedisNews(url, link, metrics, store.identity)

    async def close() -> None:
        await news.close()
        await link.close()

    return Replicas(shelf=RedisShelf(link, metrics), news=news, run=news.run, close=close)
