"""The database that the settings name: PostgreSQL by its connection string, else the embedded file."""

from collections.abc import Callable

from app.settings import Settings
from app.store import Store


def open_store(settings: Settings, on_unreplicated: Callable[[], None]) -> Store:
    """The store, not yet connected. `on_unreplicated`: for each commit that no synchronous standby confirmed."""
    if settings.postgres_connection_string is None:
        from app.store.sqlite import SqliteStore  # noqa: PLC0415 - only one of the two is needed

        return SqliteStore(settings.sqlite_path)
    from app.store.postgres import PostgresStore  # noqa: PLC0415

    password = settings.postgres_password
    return PostgresStore(
        settings.postgres_connection_string.get_secret_value(),
        password=None if password is None else password.get_secret_value(),
        pool_size=settings.postgres_pool_size,
        on_unreplicated=on_unreplicated,
    )
