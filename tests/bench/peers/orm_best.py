"""The ORM at its best: no refresh, nothing expired at commit, a pool that fits, an answer without a model."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import uvicorn
from fastapi import FastAPI, Response
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from sqlalchemy import DateTime, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(
    os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+asyncpg://"), pool_size=20, max_overflow=0
)
sessions = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Event(Base):
    __tablename__ = "events"

    id: Mapped[int] = mapped_column(primary_key=True)
    received_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    time: Mapped[datetime] = mapped_column(DateTime(timezone=True), index=True)
    source: Mapped[str] = mapped_column(index=True)
    action: Mapped[str]
    subject: Mapped[str | None]
    data: Mapped[Any | None] = mapped_column(JSONB)


class EventIn(BaseModel):
    source: str = Field(min_length=1, max_length=200)
    action: str = Field(min_length=1, max_length=200)
    subject: str | None = Field(None, max_length=200)
    time: datetime | None = None
    data: Any = None


class EventOut(EventIn):
    model_config = ConfigDict(from_attributes=True)

    id: int
    received_at: datetime


PAGE = TypeAdapter(list[EventOut])


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan)


@app.post("/events", status_code=201)
async def post(body: EventIn) -> Response:
    now = datetime.now(UTC)
    event = Event(
        received_at=now,
        time=body.time or now,
        source=body.source,
        action=body.action,
        subject=body.subject,
        data=body.data,
    )
    async with sessions() as db:
        db.add(event)
        await db.commit()
    answer = EventOut.model_validate(event).model_dump_json()
    return Response(answer, status_code=201, media_type="application/json")


@app.get("/events")
async def recent(limit: int = 50) -> Response:
    async with sessions() as db:
        rows = (await db.scalars(select(Event).order_by(Event.id.desc()).limit(limit))).all()
    return Response(PAGE.dump_json(PAGE.validate_python(rows)), media_type="application/json")


@app.get("/healthz")
async def healthz() -> Response:
    return Response()


if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ["PORT"]), loop="uvloop", http="httptools", access_log=False)
