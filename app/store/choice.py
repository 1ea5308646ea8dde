"""The database that the settings name: PostgreSQL by its connection string, else the embedded file."""

from collections.abc import Callable

from app.settings import Settings
from app.store import Replica, Store


def open_store(settings: Settings, on_unreplicated: Callable[[], None]) -> Store:
    """The store, not yet connected. `on_unreplicated`: for each commit that no synchronous standby confirmed."""
    if settings.postgres_connection_string is None:
        from app.store.sqlite import SqliteStore  # noqa: PLC0415 - only one of the two is needed

        return SqliteStore(settings.sqlite_path)
    from app.store.postgres import PostgresStore  # noqa: PLC0415

    return PostgresStore(
        settings.postgres_connection_string.get_secret_value(),
        password=_password(settings),
        pool_size=settings.postgres_pool_size,
        on_unreplicated=on_unreplicated,
    )


def open_replica(settings: Settings) -> Replica | None:
    """The replica that the settings name, not yet connected."""
    if settings.postgres_replica_connection_string is None:
        return None
    from app.store.replica import PostgresReplica  # noqa: PLC0415

    return PostgresReplica(
        settings.postgres_replica_connection_string.get_secret_value(),
        password=_password(settings),
        pool_size=settings.postgres_pool_size,
    )


def _password(settings: Settings) -> str | None:
    return None if settings.postgres_password is None else settings.postgres_password.get_secret_value()
