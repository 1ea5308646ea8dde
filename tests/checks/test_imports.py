"""Which module of `app` may import what, ours and others': an allow-list, so what it does not name fails."""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

APP = Path(__file__).parents[2] / "app"

# Each module has one row. `store.*` means every module of the store, but not `store` itself.
ARROWS = """
module            | technologies                   | modules of ours
app               |                                |
__main__          |                                | cli
about             |                                |
errors            | msgspec                        |
settings          | pydantic                       | hooks.declared tokens urls
urls              | redis                          |
tokens            | msgspec                        |
bucket            |                                |
restricted        |                                | events query store
auth              |                                | bucket errors query restricted store tokens
keyring           | asyncio                        | auth health logs metrics tokens
logs              | structlog                      |
metrics           | prometheus                     | tally
tally             | prometheus                     |
events            | msgspec                        |
formats           | msgspec                        | errors events
query             |                                | errors
cloudevents       | msgspec                        | errors events formats
body              | asyncio zstd                   | errors
writer            | asyncio                        | errors
feed              | asyncio                        |
link              | asyncio redis                  | logs metrics
shelf             | asyncio msgspec redis          | about cache link metrics
news              | asyncio redis                  | errors feed health link logs metrics
replicas          |                                | cache feed health link metrics news settings shelf store
store             | msgspec                        | events query
store.tables      | sql                            |
store.expressions | msgspec sql                    | query store.tables
store.faults      | sql                            | errors
store.dial        | asyncio sql                    | urls
store.scan        |                                | events query store
store.replica     | asyncio sql                    | errors store store.commit store.dial store.faults \
                                                     store.reader store.session
store.fold        |                                | errors events store
store.keep        |                                | events
store.homecoming  |                                | events store store.tables
store.commit      | asyncio sql                    | errors events store store.faults store.homecoming \
                                                     store.keep
store.session     | sql                            | store store.keep store.tables
store.lead        | asyncio sql                    | store.faults
store.letters     | sql                            | errors store store.tables
store.rollup      | sql                            | store.tables
store.purge       | sql                            | events store store.rollup store.tables
store.reader      | asyncio msgspec sql            | errors events query store store.tables store.expressions \
                                                     store.rollup store.scan
store.postgres    | asyncio sql                    | errors events store store.faults store.fold store.commit \
                                                     store.dial store.keep store.session store.reader store.lead \
                                                     store.letters store.purge migrations
store.sqlite      | asyncio sql                    | errors events store store.tables store.expressions \
                                                     store.faults store.fold store.homecoming store.rollup \
                                                     store.reader store.lead store.letters store.purge migrations
store.choice      |                                | settings store store.postgres store.replica store.sqlite
near              | asyncio                        | errors events health logs metrics query store store.scan
migrations*       | alembic sql                    | store.tables
spool_link        | asyncio redis                  |
spool_loss        |                                | logs
spool             | asyncio msgspec redis          | errors events spool_link spool_loss logs store
drain             | asyncio msgspec                | errors events health logs metrics spool store
letters           | asyncio msgspec                | errors events logs settings store store.choice
cache             | asyncio                        |
health            | asyncio                        | errors logs metrics store spool
notify            | asyncio                        | health logs settings
worker            | asyncio                        | errors logs metrics feed store health
ingest            | asyncio msgspec                | auth errors metrics events formats cloudevents body \
                                                     writer store edge shortcuts
hooks             |                                |
hooks.proof       |                                | hooks
hooks.github      |                                | hooks hooks.proof
hooks.gitlab      |                                | hooks hooks.proof
hooks.alertmanager |                               | hooks hooks.proof
hooks.argocd      |                                | hooks hooks.proof
hooks.standard    |                                | hooks hooks.proof
hooks.declared    | msgspec                        | events hooks hooks.proof hooks.github hooks.gitlab \
                                                     hooks.alertmanager hooks.argocd hooks.standard
hooks.reading     | msgspec                        | errors events formats hooks hooks.declared
hooks.lane        |                                | errors body edge ingest hooks.declared hooks.reading
pages             | asyncio msgspec                | auth errors cache events formats near query store edge \
                                                     shortcuts
stream            | msgspec                        | errors query feed store
erasure           | asyncio msgspec                | about auth errors events logs metrics query store
admin             | http msgspec                   | auth errors erasure formats openapi query
api               | http msgspec                   | auth errors metrics formats near query feed store health \
                                                     stream openapi static
openapi           | msgspec                        | cloudevents errors events formats query
headers           |                                |
static            | http                           | errors headers
edge              | asyncio msgspec                | auth errors headers logs metrics body health
shortcuts         | asyncio http                   | errors logs metrics health edge
deadlines         | asyncio                        | body
crowd             | asyncio                        | logs deadlines
files             |                                |
durable           |                                |
guarded           | asyncio http                   | errors edge shortcuts deadlines crowd
upgrades          |                                |
connection        | asyncio http                   | edge shortcuts deadlines crowd guarded upgrades
server            | asyncio http                   | headers logs edge shortcuts crowd connection
main              | asyncio                        | about errors settings logs metrics events body writer feed \
                                                     auth keyring cache near replicas store store.choice spool \
                                                     drain health hooks.declared hooks.lane notify worker ingest \
                                                     pages api rest edge connection server shortcuts crowd \
                                                     deadlines files erasure
background        | asyncio                        | auth settings logs metrics body feed store.choice drain \
                                                     health near replicas urls worker api rest shortcuts edge main
rest              | http                           | about errors admin api erasure openapi edge
migrate           | asyncio                        | errors settings logs store store.choice
healthcheck       | http                           |
backup            | sql                            | durable settings store
probe             |                                |
probe.schedule    | msgspec                        | query
probe.ledger      | msgspec                        | probe.schedule
probe.answer      | msgspec                        | probe.ledger
probe.history     |                                | probe.ledger probe.schedule
probe.faults      | msgspec                        | probe.history
probe.availability |                               | probe.history
probe.findings    |                                | probe.history
probe.verdict     | msgspec                        | probe probe.availability probe.faults probe.findings \
                                                     probe.history
probe.wire        | asyncio http                   |
probe.client      | asyncio http                   | probe.wire
probe.watch       |                                | probe.ledger
probe.load        | asyncio                        | probe.answer probe.client probe.ledger probe.schedule \
                                                     probe.watch
probe.readers     | asyncio http msgspec           | probe.client probe.findings probe.ledger probe.schedule \
                                                     probe.watch
probe.tails       | asyncio http msgspec           | probe.client probe.findings probe.readers probe.schedule
probe.views       | asyncio http msgspec           | probe.client probe.findings probe.history probe.readers
probe.conduct     | asyncio msgspec                | probe probe.client probe.faults probe.findings \
                                                     probe.history probe.ledger probe.load probe.readers \
                                                     probe.schedule probe.tails probe.verdict probe.views \
                                                     probe.watch
probe.report      |                                | probe.findings probe.verdict
probe.timeline    |                                | probe probe.availability probe.history probe.verdict
probe.progress    |                                |
probe.html        |                                | probe.history probe.report probe.timeline probe.verdict
probe.command     | asyncio msgspec                | about probe probe.client probe.conduct probe.faults \
                                                     probe.history probe.html probe.ledger probe.progress \
                                                     probe.report probe.schedule probe.verdict
cli               |                                | cli.exits cli.services cli.terminal
cli.exits         |                                |
cli.services      |                                | about cli.exits settings main migrate background letters \
                                                     healthcheck backup
cli.terminal      | terminal                       | about cli.completion cli.copy cli.demo cli.exits \
                                                     cli.options cli.probe cli.purge cli.query cli.screen \
                                                     cli.send cli.services cli.stats cli.tail cli.token
cli.options       | terminal                       | cli.exits
cli.screen        | terminal                       |
cli.caller        | http msgspec                   | cli.exits
cli.incoming      | msgspec                        | cli.exits events
cli.posting       | msgspec                        | cli.caller cli.incoming
cli.queue         | sql                            | cli.exits cli.incoming cli.posting durable
cli.export        | http msgspec                   | cli.caller
cli.send          | terminal                       | cli cli.caller cli.exits cli.incoming cli.options \
                                                     cli.posting cli.queue cli.screen
cli.tail          | http msgspec terminal          | cli cli.caller cli.exits cli.options cli.screen events
cli.query         | msgspec terminal               | cli cli.caller cli.exits cli.export cli.options \
                                                     cli.screen events formats
cli.stats         | msgspec terminal               | cli cli.caller cli.exits cli.options cli.screen
cli.demo          | terminal                       | cli cli.caller cli.exits cli.incoming cli.options \
                                                     cli.posting cli.screen cli.story
cli.story         |                                |
cli.copy          | msgspec terminal               | cli cli.caller cli.exits cli.export cli.incoming \
                                                     cli.options cli.posting cli.screen
cli.purge         | http msgspec terminal          | cli.caller cli.exits cli.options
cli.completion    | terminal                       | about cli.exits
cli.probe         | terminal                       | cli.options probe.command
cli.token         | terminal                       | cli.exits tokens
"""

# What the words of the middle column stand for. The rest of the standard library is free to all.
TECHNOLOGIES = {
    "alembic": {"alembic"},
    "asyncio": {"asyncio", "anyio", "uvloop"},
    "http": {"fastapi", "starlette", "uvicorn", "httptools", "httpx", "http"},
    "msgspec": {"msgspec"},
    "prometheus": {"prometheus_client"},
    "pydantic": {"pydantic", "pydantic_settings"},
    "redis": {"redis"},
    "sql": {"sqlalchemy", "asyncpg", "aiosqlite", "sqlite3"},
    "structlog": {"structlog"},
    "terminal": {"typer", "rich", "click"},
    "zstd": {"backports", "compression"},
}

# `serve` starts quickly because what it begins with does not import, at once, what other commands need.
SERVED = {"cli", "main", "server"}
HEAVY = {
    "alembic",
    "typer",
    "rich",
    "click",
    "httpx",
    "redis",
    "link",
    "spool_link",
    "spool",
    "migrations",
    "migrate",
    "probe",
    "cli.terminal",
}

ENVIRONMENT = {"environ", "environb", "getenv", "getenvb"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Arrow:
    technologies: set[str]
    ours: set[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Import:
    line: int
    name: str  # "events" for a module of ours, "sqlalchemy" for another
    ours: bool
    at_once: bool  # neither inside a function nor for types alone


def table() -> dict[str, Arrow]:
    _, *rows = ARROWS.replace("\\\n", "").strip().splitlines()
    cells = [[set(cell.split()) for cell in row.split("|")] for row in rows]
    return {module.pop(): Arrow(technologies=technologies, ours=ours) for module, technologies, ours in cells}


def modules() -> dict[str, Path]:
    paths = {path.relative_to(APP).with_suffix("").parts: path for path in sorted(APP.rglob("*.py"))}
    return {".".join(parts).removesuffix("__init__").strip(".") or "app": path for parts, path in paths.items()}


TABLE = table()
MODULES = modules()


def test_every_module_has_one_row() -> None:
    wrong = [module for module in MODULES if len(rows_of(module)) != 1]
    assert not wrong, f"Say in ARROWS ({Path(__file__).name}), in one row each, what these may import: {wrong}"


def test_every_row_is_of_use() -> None:
    named = TABLE.keys() | {pattern for arrow in TABLE.values() for pattern in arrow.ours}
    stale = sorted(pattern for pattern in named if not any(fnmatchcase(module, pattern) for module in MODULES))
    assert not stale, f"Take out of ARROWS what is not in app/: {stale}"


def test_modules_import_only_what_their_row_allows() -> None:
    problems = [
        f"{place(module, found.line)} {module} may not import {found.name}"
        for module in MODULES
        for arrow in rows_of(module)
        for found in imports(module)
        if not allows(arrow, found)
    ]
    assert not problems, "\n".join(["ARROWS does not allow this:", *problems])


def test_serve_starts_without_what_other_commands_need() -> None:
    problems = [
        f"{place(module, found.line)} import {found.name} inside the function that needs it"
        for module in loaded_by_serve()
        for found in imports(module)
        if found.at_once and {found.name, found.name.partition(".")[0]} & HEAVY
    ]
    assert not problems, "\n".join(problems)


def test_the_environment_is_read_in_one_place_of_either_side() -> None:
    problems = [
        f"{place(module, line)} settings reads the environment, and cli.options that of who talks to a collector"
        for module in MODULES.keys() - {"settings", "cli.options"}
        for line in reads_of_the_environment(module)
    ]
    assert not problems, "\n".join(problems)


def rows_of(module: str) -> list[Arrow]:
    return [arrow for pattern, arrow in TABLE.items() if fnmatchcase(module, pattern)]


def allows(arrow: Arrow, found: Import) -> bool:
    if found.ours:
        return any(fnmatchcase(found.name, pattern) for pattern in arrow.ours)
    uses = {word for word, roots in TECHNOLOGIES.items() if found.name in roots}
    return bool(uses & arrow.technologies) if uses else found.name in sys.stdlib_module_names


def loaded_by_serve() -> set[str]:
    loaded: set[str] = set()
    found = SERVED & MODULES.keys()
    while found:
        loaded |= found
        found = {one.name for module in found for one in imports(module) if one.ours and one.at_once}
        found = (found & MODULES.keys()) - loaded
    return loaded


def imports(module: str) -> Iterator[Import]:
    nodes = list(ast.walk(tree_of(module)))
    late = {id(inner) for node in nodes if is_late(node) for inner in ast.walk(node)}
    for node in nodes:
        if isinstance(node, ast.Import | ast.ImportFrom):
            for dotted in names_in(node, module):
                root, _, rest = dotted.partition(".")
                ours = root == APP.name
                name = (rest or root) if ours else root
                yield Import(line=node.lineno, name=name, ours=ours, at_once=id(node) not in late)


def is_late(node: ast.AST) -> bool:
    for_types = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
    return for_types or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


def names_in(node: ast.Import | ast.ImportFrom, module: str) -> list[str]:
    """Return the imported modules by their full names: `from app import events` means `app.events`."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    origin = ".".join([*parents(module, node.level), *filter(None, [node.module])])
    dotted = [f"{origin}.{alias.name}" for alias in node.names]
    return sorted({name if name.removeprefix(f"{APP.name}.") in MODULES else origin for name in dotted})


def parents(module: str, level: int) -> list[str]:
    """Return where the dots of a relative import lead to; none for an absolute one."""
    path = [APP.name, *MODULES[module].relative_to(APP).with_suffix("").parts]
    return path[:-level] if level else []


def reads_of_the_environment(module: str) -> Iterator[int]:
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.Attribute) and node.attr in ENVIRONMENT:
            yield node.lineno
        if isinstance(node, ast.ImportFrom) and node.module == "os":
            yield from (node.lineno for alias in node.names if alias.name in ENVIRONMENT)


def tree_of(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def place(module: str, line: int) -> str:
    return f"{MODULES[module].relative_to(APP.parent)}:{line}:"
