"""The textbook: FastAPI, a SQLAlchemy session per request, add, commit, refresh, a response model."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any

import uvicorn
from fastapi import Depends, FastAPI
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import DateTime, func, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+asyncpg://"))
sessions = async_sessionmaker(engine)


class Base(DeclarativeBase):
    pass


class Event(Base):
    __tablename__ = "events"

    id: Mapped[int] = mapped_column(primary_key=True)
    received_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    time: Mapped[datetime] = mapped_column(DateTime(timezone=True), index=True)
    source: Mapped[str] = mapped_column(index=True)
    action: Mapped[str]
    subject: Mapped[str | None]
    data: Mapped[Any | None] = mapped_column(JSONB)


class EventIn(BaseModel):
    source: str = Field(min_length=1, max_length=200)
    action: str = Field(min_length=1, max_length=200)
    subject: str | None = Field(None, max_length=200)
    time: datetime = Field(default_factory=lambda: datetime.now(UTC))
    data: Any = None


class EventOut(EventIn):
    model_config = ConfigDict(from_attributes=True)

    id: int
    received_at: datetime


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield
    await engine.dispose()


async def session() -> AsyncIterator[AsyncSession]:
    async with sessions() as one:
        yield one


app = FastAPI(lifespan=lifespan)
Session = Annotated[AsyncSession, Depends(session)]


@app.post("/events", status_code=201, response_model=EventOut)
async def post(body: EventIn, db: Session) -> Event:
    event = Event(**body.model_dump())
    db.add(event)
    await db.commit()
    await db.refresh(event)
    return event


@app.get("/events", response_model=list[EventOut])
async def recent(db: Session, limit: int = 50) -> list[Event]:
    return list(await db.scalars(select(Event).order_by(Event.id.desc()).limit(limit)))


@app.get("/healthz")
async def healthz() -> dict[str, str]:
    return {"status": "ok"}


if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ["PORT"]), access_log=False)
