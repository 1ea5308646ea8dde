"""Settings: the only reader of the environment.

Precedence: the command line, the environment, `NAME_FILE` in the environment, the directory of mounted files,
the configuration file, the defaults. A value that cannot be right stops the start with one line that names it.
"""

import difflib
import ipaddress
import json
import os
from argparse import ArgumentParser
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, Self, get_args

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    CliSettingsSource,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from app.tokens import TokensError, read_file, read_tokens
from app.urls import postgres_fault, redis_fault

LogLevel = Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(lambda v: str(v).lower())]


class SettingsError(Exception):
    """A setting cannot be right; the message is one line that names it."""


class Settings(BaseSettings):
    """Every setting of the collector, its default, its unit and what it does."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        cli_kebab_case=True,
        cli_hide_none_type=True,
        cli_implicit_flags=True,
        cli_parse_none_str="none",
    )

    host: str = Field("127.0.0.1", description="address to listen on; beyond loopback see ALLOW_ANONYMOUS")
    port: int = Field(8080, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    allow_anonymous: bool = Field(
        default=False,
        description="without tokens, listen beyond loopback: anyone who reaches the port may read and write",
    )
    tokens: SecretStr | None = Field(
        None, description="who may come in: JSON, one entry a line or a list, as `collector token new` prints them"
    )
    tokens_file: Path | None = Field(
        None, description="a file of such entries, beside those of TOKENS; read again whenever it changes"
    )
    log_level: LogLevel = Field("info", description="debug, info, warning or error; debug logs every request")
    log_format: Literal["auto", "json", "console"] = Field(
        "auto",
        description="json: one object a line; console: for people; auto: console on a terminal, else json",
    )
    retention_days: int = Field(
        90, ge=0, le=36500, description="days an event is kept, from the day it was committed; 0 keeps all"
    )
    max_batch_size: int = Field(1000, ge=1, le=10_000, description="events that one request may carry")
    max_waiting_events: int = Field(
        20_000, ge=1, description="events that may wait for their commit; past it 503, early"
    )
    max_waiting_mib: int = Field(
        64, ge=6, description="MiB of events that may wait for their commit, and as many of bodies half sent"
    )
    max_streams: int = Field(1000, ge=0, description="event streams that may be open; past it 503")
    stream_lag_seconds: float = Field(
        300,
        gt=0,
        description="seconds that a stream may fall behind; past them it tells of a gap and goes on at the end",
    )
    stall_seconds: float = Field(
        30, gt=0, description="seconds after which a client that takes nothing of its answer is cut off"
    )
    head_seconds: float = Field(
        10, gt=0, description="seconds from the first byte of a request to the end of its headers; past them 408"
    )
    body_seconds: float = Field(
        30,
        gt=0,
        description="seconds that its body may take, and one more for each 8 KiB that came; past them 408",
    )
    max_connections: int = Field(
        0,
        ge=0,
        description="connections that may be open; past it 503; 0: 10000, if the limit of open files allows",
    )
    metric_sources: int = Field(
        100, ge=0, description="sources with a metric label of their own; the others count as _other"
    )
    postgres_connection_string: SecretStr | None = Field(
        None, description="postgres://user@host/db; several hosts, sslmode and sslrootcert are understood"
    )
    postgres_password: SecretStr | None = Field(
        None, description="the password, where the connection string bears none"
    )
    postgres_pool_size: int = Field(
        5, ge=1, le=100, description="connections for reading; five more write, check, compare versions and sum up"
    )
    postgres_replica_connection_string: SecretStr | None = Field(
        None, description="a standby of that PostgreSQL, near this process: what it shows is read from it"
    )
    replica_lag_seconds: float = Field(
        5, ge=1, le=3600, description="seconds that the replica may be behind; past them it is left alone"
    )
    redis_url: SecretStr | None = Field(
        None, description="redis://, rediss:// or unix://; replicas then share pages, and tell each other of news"
    )
    sqlite_path: Path = Field(
        Path("data/collector.db"), description="the database file, used where no PostgreSQL is given"
    )
    spool_url: SecretStr | None = Field(
        None,
        description="the Redis that keeps events while the database is away, where it is not that of REDIS_URL",
    )
    spool_max_events: int = Field(
        1_000_000, ge=1, description="events that the spool may hold; past it 503, nothing is trimmed"
    )
    spool_max_mib: int = Field(512, ge=6, description="MiB of events that the spool may hold")
    hooks: SecretStr | None = Field(
        None, description="webhooks by name, as JSON: kind, source, secrets or secrets_file; see docs/webhooks.md"
    )
    worker_port: int = Field(
        8081,
        ge=0,
        le=65535,
        description="port of `collector worker`, for its probes and metrics; 0 takes a free one",
    )
    drain_seconds: float = Field(
        0, ge=0, le=300, description="seconds to go on accepting after SIGTERM; 10 behind a load balancer"
    )
    graceful_seconds: float = Field(20, ge=0, le=300, description="seconds that requests under way get to end")
    config: Path | None = Field(None, description="a TOML file of settings")
    config_dir: Path | None = Field(
        None, description="a directory with one file a setting, as Kubernetes mounts a ConfigMap or a Secret"
    )

    @field_validator("postgres_connection_string", "postgres_replica_connection_string")
    @classmethod
    def _is_postgres(cls, value: SecretStr | None) -> SecretStr | None:
        return _unless(postgres_fault, value)

    @field_validator("redis_url", "spool_url")
    @classmethod
    def _is_redis(cls, value: SecretStr | None) -> SecretStr | None:
        return _unless(redis_fault, value)

    @field_validator("hooks", mode="before")
    @classmethod
    def _may_be_a_table(cls, value: object) -> object:
        return json.dumps(value) if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _let_a_batch_wait(self) -> Self:
        if self.max_waiting_events < self.max_batch_size:
            raise ValueError("MAX_WAITING_EVENTS: must be at least MAX_BATCH_SIZE, or no full batch could be kept")
        return self

    @model_validator(mode="after")
    def _have_what_it_is_a_replica_of(self) -> Self:
        if self.postgres_replica_connection_string is not None and self.postgres_connection_string is None:
            raise ValueError(
                "POSTGRES_REPLICA_CONNECTION_STRING: needs POSTGRES_CONNECTION_STRING, which takes the writes; "
                "the embedded database has no replica"
            )
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - a .env file is Compose's, not ours
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - replaced by _Mounted
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The order of precedence, first wins."""
        return (
            init_settings,
            env_settings,
            _SecretFiles(settings_cls),
            _Mounted(settings_cls),
            _File(settings_cls),
        )

    def public(self) -> dict[str, Any]:
        """Every setting that was given, secrets masked, for the log line of the start."""
        return {name: str(value) for name, value in self if name in self.model_fields_set}


class Serving(Settings):
    """The settings of a process that has routes of data: what it knows people by has to be there and right.

    The other roles have none. What lets people in is not mounted for them, and a file of tokens that has been
    broken by an edit must not make the healthcheck fail, while the collector goes on with those before.
    """

    @field_validator("tokens")
    @classmethod
    def _are_tokens(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            _declared(lambda: read_tokens(value.get_secret_value()))
        return value

    @field_validator("tokens_file")
    @classmethod
    def _has_tokens(cls, value: Path | None) -> Path | None:
        if value is not None:
            _declared(lambda: read_file(value))
        return value

    @field_validator("hooks")
    @classmethod
    def _are_hooks(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            from app.hooks.declared import declared  # noqa: PLC0415 - only who has hooks waits for them to load

            declared(value.get_secret_value())
        return value

    @model_validator(mode="after")
    def _refuse_an_open_door(self) -> Self:
        # Decided at the bind: a peer's address proves nothing behind a proxy.
        asks = not (self.tokens is None and self.tokens_file is None)
        if not (asks or self.allow_anonymous or _is_loopback(self.host)):
            raise ValueError(
                f"HOST: {self.host} can be reached from other machines and nobody would be asked for a token: "
                "set TOKENS_FILE or TOKENS (`collector token new` makes one), "
                "or ALLOW_ANONYMOUS=true if everyone there may read and write"
            )
        return self


# By their type, so that none can be forgotten. Each of SECRETS may be in a file; TOKENS_FILE is a setting itself.
NEVER_SHOWN = frozenset(
    name for name, field in Settings.model_fields.items() if SecretStr in get_args(field.annotation)
)
SECRETS = tuple(sorted(name for name in NEVER_SHOWN if f"{name}_file" not in Settings.model_fields))


def _unless(fault: Callable[[str], str | None], value: SecretStr | None) -> SecretStr | None:
    if value is not None and (wrong := fault(value.get_secret_value())):
        raise ValueError(wrong)
    return value


def _declared(read: Callable[[], object]) -> None:
    try:
        read()
    except TokensError as error:
        raise ValueError(str(error)) from None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _SecretFiles(EnvSettingsSource):
    """`POSTGRES_PASSWORD_FILE=/run/secrets/pg`: the file's content, without the newline at its end."""

    def __call__(self) -> dict[str, Any]:
        found = {}
        for name in SECRETS if issubclass(self.settings_cls, Serving) else set(SECRETS) - {"hooks"}:
            variable = f"{name}_file".upper()
            if path := os.environ.get(variable):
                found[name] = _read(variable, Path(path)).rstrip("\r\n")
        return found


class _Mounted(SecretsSettingsSource):
    """The directory of mounted files: `retention_days` or `RETENTION_DAYS` holds that setting."""

    def __call__(self) -> dict[str, Any]:
        if (folder := self.current_state.get("config_dir")) is None:
            return {}
        if not Path(folder).is_dir():
            raise SettingsError(f"CONFIG_DIR: {folder} is not a directory")
        self.secrets_dir = folder
        return {name: value.strip() for name, value in super().__call__().items()}


class _File(TomlConfigSettingsSource):
    """The TOML file: keys are the settings' names, in either case."""

    def __init__(self, settings_cls: type[BaseSettings]) -> None:
        super().__init__(settings_cls, toml_file=None)

    def __call__(self) -> dict[str, Any]:
        if (path := self.current_state.get("config")) is None:
            return {}
        _read("CONFIG", Path(path))
        try:
            return {key.lower(): value for key, value in self._read_file(Path(path)).items()}
        except ValueError as error:
            raise SettingsError(f"CONFIG: {path} is not TOML: {error}") from error


def _read(variable: str, path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{variable}: cannot read {path}: {error}") from error


class _Parser(ArgumentParser):
    """argparse, but what is wrong is one line, which names options and never repeats their values."""

    def error(self, message: str) -> NoReturn:
        """Raise SettingsError."""
        what, colon, words = message.partition("unrecognized arguments: ")
        options = [word.partition("=")[0] for word in words.split() if word.startswith("-")]
        raise SettingsError(
            f"{what}there is no option {' '.join(options) or 'without a name'}" if colon else message
        )


def load(
    arguments: Sequence[str] = (), *, program: str = "collector serve", about: str = "", serving: bool = True
) -> Settings:
    """Read every source. Raises SettingsError with one line; `--help` prints all settings and exits."""
    source: CliSettingsSource[Any] = CliSettingsSource(
        _described(about),
        cli_prog_name=program,
        cli_parse_args=list(arguments),
        root_parser=_Parser(prog=program, description=about, allow_abbrev=False),
    )
    try:
        return (Serving if serving else Settings)(_cli_settings_source=source)  # type: ignore[call-arg]
    except ValidationError as error:
        raise SettingsError("; ".join(_sentence(dict(fault)) for fault in error.errors())) from error


def _described(about: str) -> type[Settings]:
    """The settings with another docstring, which `--help` shows first."""
    return type("Settings", (Settings,), {"__doc__": about, "__module__": __name__})


def _sentence(fault: Mapping[str, Any]) -> str:
    if not fault["loc"]:
        return str(fault["ctx"]["error"])
    name = str(fault["loc"][0])
    if fault["type"] == "extra_forbidden":
        return f"{name}: there is no such setting{_meant(name)}"
    value = "" if name in NEVER_SHOWN else f" (got {fault['input']!r})"
    message = str(fault["msg"]).removeprefix("Value error, ")
    return f"{name.upper()}: {message[0].lower()}{message[1:]}{value}"


def _meant(name: str) -> str:
    close = difflib.get_close_matches(name.lower(), Settings.model_fields, n=1)
    return f"; did you mean {close[0]}?" if close else ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Supervisor:
    """What systemd tells a process that it starts: not for people to set, so not among the settings."""

    socket: str  # where it wants to hear from the process
    watchdog: float | None  # seconds of silence after which it ends the process


def supervisor(environment: Mapping[str, str] = os.environ, pid: int | None = None) -> Supervisor | None:
    """The systemd that started this process, if it did and wants to hear of it."""
    socket = environment.get("NOTIFY_SOCKET", "")
    if not socket.startswith(("/", "@")):
        return None
    silence = environment.get("WATCHDOG_USEC", "")
    meant = environment.get("WATCHDOG_PID", "") in ("", str(pid or os.getpid()))
    watched = meant and silence.isdecimal() and int(silence) > 0
    return Supervisor(socket=socket, watchdog=int(silence) / 1e6 if watched else None)


def near_misses(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Variables that look like a misspelt setting, with the name that was meant: they would be ignored."""
    names = {name.upper() for name in Settings.model_fields}
    known = names | {f"{secret}_file".upper() for secret in SECRETS}
    close = {
        variable: difflib.get_close_matches(variable.upper(), names, n=1, cutoff=0.88)
        for variable in environment
        if variable.upper() not in known and len(variable) > 5
    }
    return {variable: meant[0] for variable, meant in close.items() if meant}
