"""SQL that PostgreSQL and SQLite spell differently, as SQLAlchemy expressions, and the filters made of it."""

import re
from typing import Any

import msgspec
from sqlalchemy import BigInteger, ColumnElement, Text, and_, literal, not_, or_
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from app.query import Filter
from app.store.tables import events

_INDEX = re.compile(r"[ \t\n\v\f\r]*[+-]?[0-9]+")  # what C's strtol, and so PostgreSQL, reads as a number
JSON_TEXT = "collector_json_text"  # the SQLite function that is registered on every connection


class text_at(FunctionElement[str]):  # noqa: N801 - SQL functions are spelt in lower case
    """The text at a path into JSON: strings as they are, anything else as JSON; NULL where there is nothing."""

    type = Text()
    inherit_cache = True


@compiles(text_at, "postgresql")
def _text_at_postgres(element: text_at, compiler: SQLCompiler, **words: Any) -> str:
    data, path = element.clauses
    # The path is a JSON array of names, since a text[] parameter has no twin in SQLite.
    names = f"ARRAY(SELECT json_array_elements_text(({compiler.process(path, **words)})::json))"
    return f"(({compiler.process(data, **words)})::json #>> {names})"


@compiles(text_at, "sqlite")
def _text_at_sqlite(element: text_at, compiler: SQLCompiler, **words: Any) -> str:
    return f"{JSON_TEXT}({compiler.process(element.clauses, **words)})"


def json_text(data: str | None, path: str) -> str | None:
    """`text_at` for SQLite: the same answer as PostgreSQL's `#>>`."""
    if data is None:
        return None
    value = msgspec.json.decode(data)
    for name in msgspec.json.decode(path, type=list[str]):
        if isinstance(value, dict):
            value = value.get(name)
        elif isinstance(value, list) and _INDEX.fullmatch(name) and _within(value, int(name)):
            value = value[int(name)]
        else:
            return None
    return value if value is None or isinstance(value, str) else msgspec.json.encode(value).decode()


def _within(items: list[Any], index: int) -> bool:
    return -len(items) <= index < len(items)


class micros_of(FunctionElement[int]):  # noqa: N801
    """Microseconds since 1970 of a moment."""

    type = BigInteger()
    inherit_cache = True


@compiles(micros_of, "postgresql")
def _micros_postgres(element: micros_of, compiler: SQLCompiler, **words: Any) -> str:
    return f"(extract(epoch FROM {compiler.process(element.clauses, **words)}) * 1000000)::bigint"


@compiles(micros_of, "sqlite")
def _micros_sqlite(element: micros_of, compiler: SQLCompiler, **words: Any) -> str:
    return compiler.process(element.clauses, **words)


class contains(FunctionElement[bool]):  # noqa: N801
    """Whether a text holds another, whatever the case of ASCII letters."""

    inherit_cache = True


@compiles(contains, "postgresql")
def _contains_postgres(element: contains, compiler: SQLCompiler, **words: Any) -> str:
    column, text = (compiler.process(part, **words) for part in element.clauses)
    return f'(strpos(lower(({column})::text COLLATE "C"), lower(({text})::text COLLATE "C")) > 0)'


@compiles(contains, "sqlite")
def _contains_sqlite(element: contains, compiler: SQLCompiler, **words: Any) -> str:
    column, text = (compiler.process(part, **words) for part in element.clauses)
    return f"(instr(lower({column}), lower({text})) > 0)"


class matches(FunctionElement[bool]):  # noqa: N801
    """Whether a label matches a pattern in which `*` stands for any text."""

    inherit_cache = True


@compiles(matches, "postgresql")
def _matches_postgres(element: matches, compiler: SQLCompiler, **words: Any) -> str:
    return "({} LIKE {})".format(*(compiler.process(part, **words) for part in element.clauses))


@compiles(matches, "sqlite")
def _matches_sqlite(element: matches, compiler: SQLCompiler, **words: Any) -> str:
    return "({} GLOB {})".format(*(compiler.process(part, **words) for part in element.clauses))


def _pattern(source: str, dialect: str) -> str:
    if dialect == "postgresql":
        for special in ("\\", "%", "_"):
            source = source.replace(special, "\\" + special)
        return source.replace("*", "%")
    return "".join(f"[{mark}]" if mark in "[?" else mark for mark in source)


def narrowing(filter_: Filter, dialect: str) -> ColumnElement[bool]:
    """The conditions that an index serves."""
    return and_(from_sources(filter_, dialect), *at_times(filter_, events.c))


def from_sources(
    filter_: Filter, dialect: str, column: ColumnElement[str] = events.c.source
) -> ColumnElement[bool]:
    """The condition on the source, which is true where there is none."""
    wanted = [_any_of(filter_.sources, dialect, column)] if filter_.sources else []
    left_out = [] if filter_.but is None else [not_(_source(filter_.but, dialect, column))]
    seen = [] if filter_.within is None else [_any_of(filter_.within, dialect, column)]
    return and_(literal(value=True), *wanted, *left_out, *seen)


def at_times(filter_: Filter, columns: Any) -> list[ColumnElement[bool]]:
    """The conditions on when it happened."""
    since = [] if filter_.since is None else [columns.time >= filter_.since]
    until = [] if filter_.until is None else [columns.time < filter_.until]
    return since + until


def _any_of(sources: tuple[str, ...], dialect: str, column: ColumnElement[str]) -> ColumnElement[bool]:
    return or_(literal(value=False), *(_source(source, dialect, column) for source in sources))


def _source(source: str, dialect: str, column: ColumnElement[str]) -> ColumnElement[bool]:
    if "*" not in source:
        return column == source
    return matches(column, literal(_pattern(source, dialect)))


def scanning(filter_: Filter, columns: Any) -> list[ColumnElement[bool]]:
    """The conditions for which rows must be looked at one by one."""
    exact = {"id": filter_.id, "action": filter_.action, "subject": filter_.subject}
    conditions = [columns[name] == value for name, value in exact.items() if value is not None]
    if filter_.text is not None:
        texts = ("source", "action", "id", "subject", "data")
        conditions.append(or_(*(contains(columns[name], literal(filter_.text)) for name in texts)))
    for path, value in filter_.data:
        names = msgspec.json.encode(path).decode()
        conditions.append(text_at(columns.data, literal(names, Text())) == value)
    return conditions
