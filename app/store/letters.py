"""Dead letters: the table of what the spool took and the log does not, the same for both databases."""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncEngine

from app.errors import Unavailable
from app.store import Letter
from app.store.tables import dead_letters


class SqlLetters:
    """Runs on the engine, whose connections commit each statement. `explain`: what its errors mean."""

    def __init__(self, engine: AsyncEngine, explain: Callable[[Exception], Unavailable | None]) -> None:
        self._engine = engine
        insert = sqlite.insert if engine.dialect.name == "sqlite" else postgresql.insert
        self._insert = insert(dead_letters).on_conflict_do_nothing()
        self._explain = explain

    async def add(self, letters: Sequence[Letter]) -> None:
        """Keep letters."""
        if letters:
            rows = [{name: getattr(one, name) for name in Letter.__slots__} for one in letters]
            await self._run(self._insert, rows)

    async def count(self) -> int:
        """How many there are."""
        ((count,),) = await self._run(select(func.count()).select_from(dead_letters))
        return int(count)

    async def page(self, after: str, limit: int) -> list[Letter]:
        """Some of them, by id."""
        rows = select(dead_letters).where(dead_letters.c.id > after).order_by(dead_letters.c.id).limit(limit)
        return [Letter(**row._mapping) for row in await self._run(rows)]  # noqa: SLF001 - its public name

    async def remove(self, ids: Sequence[str]) -> None:
        """Forget letters."""
        await self._run(delete(dead_letters).where(dead_letters.c.id.in_(ids)))

    async def close(self) -> None:
        """Let go of every connection."""
        await self._engine.dispose()

    async def _run(self, statement: Any, values: Sequence[dict[str, Any]] | None = None) -> Sequence[Any]:
        try:
            async with self._engine.connect() as connection:
                result = await connection.execute(statement, values)
                return result.all() if result.returns_rows else ()
        except Exception as error:
            raise self._explain(error) or error from error
