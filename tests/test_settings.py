"""Settings: which source wins, and one line for each value that cannot be right."""

from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import pytest
from pydantic import SecretStr

from app.cli import main
from app.settings import SECRETS, Settings, SettingsError, load, near_misses
from tests.credentials import credential, lines

CANARY = "hunter2"


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        for variable in (name, f"{name}_file"):
            monkeypatch.delenv(variable, raising=False)
            monkeypatch.delenv(variable.upper(), raising=False)


class Sources:
    """Everywhere a setting can come from."""

    def __init__(self, folder: Path, environment: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self._environment = environment
        self.arguments: list[str] = []

    def write(self, name: str, content: str) -> Path:
        path = self._folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
        return path

    def command_line(self, name: str, value: str) -> None:
        self.arguments += [f"--{name.replace('_', '-')}", value]

    def environment(self, name: str, value: str) -> None:
        self._environment.setenv(name.upper(), value)

    def secret_file(self, name: str, value: str) -> None:
        self._environment.setenv(f"{name.upper()}_FILE", str(self.write("secret", f"{value}\n")))

    def mounted(self, name: str, value: str) -> None:
        self._environment.setenv("CONFIG_DIR", str(self.write(f"mounted/{name}", f"{value}\n").parent))

    def toml(self, name: str, value: str) -> None:
        self._environment.setenv("CONFIG", str(self.write("collector.toml", f'{name} = "{value}"\n')))

    def default(self, name: str, value: str) -> None:
        """Say nothing."""

    def load(self) -> Settings:
        return load(self.arguments)


ORDER: list[Callable[[Sources, str, str], None]] = [
    Sources.command_line,
    Sources.environment,
    Sources.secret_file,
    Sources.mounted,
    Sources.toml,
    Sources.default,
]


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sources:
    return Sources(tmp_path, monkeypatch)


def sentence(*arguments: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load(arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(("higher", "lower"), list(combinations(ORDER, 2)), ids=lambda source: source.__name__)
def test_the_higher_source_wins(
    sources: Sources, higher: Callable[[Sources, str, str], None], lower: Callable[[Sources, str, str], None]
) -> None:
    lower(sources, "postgres_password", "of the lower")
    higher(sources, "postgres_password", "of the higher")
    assert sources.load().postgres_password == SecretStr("of the higher")


@pytest.mark.parametrize("secret", SECRETS)
def test_every_secret_can_come_from_a_file(sources: Sources, secret: str) -> None:
    redis = "unix:///path with spaces "
    if secret == "postgres_replica_connection_string":
        sources.environment("postgres_connection_string", "postgres://")
    value = {"redis_url": redis, "spool_url": redis, "hooks": "{} "}.get(secret, "postgres:// with spaces ")
    sources.secret_file(secret, value)
    assert getattr(sources.load(), secret).get_secret_value() == value


def test_without_any_settings_it_serves_this_machine_from_a_file() -> None:
    settings = load()
    assert (settings.host, settings.port) == ("127.0.0.1", 8080)
    assert settings.postgres_connection_string is None
    assert settings.public() == {}


def test_names_are_taken_in_either_case(sources: Sources) -> None:
    sources.mounted("RETENTION_DAYS", "7")
    sources.write("mounted/max_batch_size", "5")
    sources.toml("LOG_LEVEL", "WARNING")
    settings = sources.load()
    assert (settings.retention_days, settings.max_batch_size, settings.log_level) == (7, 5, "warning")


def test_sources_are_merged_setting_by_setting(sources: Sources) -> None:
    sources.toml("port", "1")
    sources.mounted("retention_days", "2")
    sources.environment("max_batch_size", "3")
    sources.command_line("max_streams", "4")
    settings = sources.load()
    assert [settings.port, settings.retention_days, settings.max_batch_size, settings.max_streams] == [1, 2, 3, 4]


def test_files_can_be_named_on_the_command_line(sources: Sources) -> None:
    sources.command_line("config", str(sources.write("c.toml", "port = 1")))
    sources.command_line("config_dir", str(sources.write("d/retention_days", "2").parent))
    settings = sources.load()
    assert (settings.port, settings.retention_days) == (1, 2)


def test_other_files_in_the_directory_are_passed_over(sources: Sources) -> None:
    sources.mounted("retention_days", "2")
    sources.write("mounted/ca.crt", "not a setting")
    assert sources.load().retention_days == 2


WRONG = [
    ("REPLICA_LAG_SECONDS", "0.5"),
    ("PORT", "http"),
    ("PORT", ""),
    ("PORT", "65536"),
    ("PORT", "-1"),
    ("ALLOW_ANONYMOUS", "perhaps"),
    ("LOG_LEVEL", "loud"),
    ("LOG_FORMAT", "xml"),
    ("RETENTION_DAYS", "-1"),
    ("RETENTION_DAYS", "1.5"),
    ("MAX_BATCH_SIZE", "0"),
    ("MAX_BATCH_SIZE", "10001"),
    ("MAX_WAITING_EVENTS", "0"),
    ("MAX_WAITING_MIB", "5"),
    ("MAX_STREAMS", "-1"),
    ("METRIC_SOURCES", "-1"),
    ("POSTGRES_POOL_SIZE", "0"),
    ("DRAIN_SECONDS", "301"),
    ("DRAIN_SECONDS", "nan"),
    ("GRACEFUL_SECONDS", "soon"),
    ("HOST", "0.0.0.0"),
    ("CONFIG", "/no/such/file"),
    ("CONFIG", "/"),
    ("CONFIG_DIR", "/no/such/folder"),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_value_that_cannot_be_right_is_named_in_one_line(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    assert sentence().startswith(f"{name}: ")
    assert value in sentence()


def test_a_replica_needs_what_it_is_a_replica_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTGRES_REPLICA_CONNECTION_STRING", f"postgres://me:{CANARY}@near/db")
    said = sentence()
    assert said.startswith("POSTGRES_REPLICA_CONNECTION_STRING: needs POSTGRES_CONNECTION_STRING")
    assert CANARY not in said
    monkeypatch.setenv("POSTGRES_CONNECTION_STRING", "postgres://far/db")
    assert load().replica_lag_seconds == 5


def test_all_wrong_values_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "http")
    parts = sentence("--max-batch-size", "0").split("; ")
    assert [part.partition(":")[0] for part in parts] == ["PORT", "MAX_BATCH_SIZE"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("postgres_connection_string", f"mysql://me:{CANARY}@db/events"),
        ("postgres_connection_string", f"me:{CANARY}@db/events"),
        ("postgres_connection_string", f"host=db password={CANARY}"),
        ("postgres_connection_string", CANARY),
        ("postgres_connection_string", f" postgres://me:{CANARY}@db"),
    ],
)
@pytest.mark.parametrize("source", ORDER[:3], ids=lambda source: source.__name__)
def test_a_wrong_secret_is_named_and_never_shown(
    sources: Sources, name: str, content: str, source: Callable[[Sources, str, str], None]
) -> None:
    source(sources, name, content)
    said = sentence(*sources.arguments)
    assert said == "POSTGRES_CONNECTION_STRING: must begin with postgres:// or postgresql://"


@pytest.mark.parametrize(
    "url",
    [
        f"http://me:{CANARY}@redis",
        f"me:{CANARY}@redis",
        f"redis://me:{CANARY}@redis:port",
        f"redis://:{CANARY}@redis/production",
        f"redis://redis?pasword={CANARY}",
        f"redis://redis?socket_timeout={CANARY}",
        f"redis://{CANARY}[",
    ],
)
def test_what_is_no_url_of_a_redis_is_named_and_never_shown(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("REDIS_URL", url)
    assert sentence() == (
        "REDIS_URL: must be like redis://user:password@host:6379/0, rediss://host or unix:///path"
    )


@pytest.mark.parametrize("url", ["redis://", "redis://h:1/2", "rediss://me:a%40b@h", "unix:///run/redis?db=3"])
def test_the_urls_of_a_redis_are_taken(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("REDIS_URL", url)
    settings = load()
    assert settings.redis_url == SecretStr(url)
    assert url not in str(settings.public())


@pytest.mark.parametrize(
    "toml",
    [
        f"postgres_password = ['{CANARY}']",
        f"postgres_password = {{ a = '{CANARY}' }}",
        f"[postgres_password]\na = '{CANARY}'",
        f"postgres_password = {CANARY}",
        f"postgres_password = '{CANARY}\n'",
        f"postgres_pasword = '{CANARY}'",
        f"port = 'x'\npostgres_password = '{CANARY}'",
        f"host = '0.0.0.0'\npostgres_password = '{CANARY}'",
    ],
)
def test_what_is_wrong_in_the_file_shows_no_secret(sources: Sources, toml: str) -> None:
    said = sentence("--config", str(sources.write("c.toml", toml)))
    assert CANARY not in said


def test_a_url_that_cannot_be_read_is_named_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTGRES_CONNECTION_STRING", f"postgres://me:a/{CANARY}@db/x")
    said = sentence()
    assert said.startswith("POSTGRES_CONNECTION_STRING: must be like postgres://user:password@host")
    assert CANARY not in said


def test_secrets_are_masked_in_what_is_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTGRES_CONNECTION_STRING", f"postgresql://me:{CANARY}@db")
    settings = load(["--postgres-password", CANARY, "--port", "0"])
    assert settings.public()["port"] == "0"
    assert CANARY not in f"{settings} {settings!r} {settings.public()}"


def test_a_secret_whose_file_cannot_be_read_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTGRES_PASSWORD_FILE", "/no/such/file")
    assert sentence().startswith("POSTGRES_PASSWORD_FILE: cannot read /no/such/file: ")


def test_an_unknown_name_in_the_file_is_an_error_with_what_was_meant(sources: Sources) -> None:
    path = str(sources.write("c.toml", "retention_day = 5"))
    assert sentence("--config", path) == "retention_day: there is no such setting; did you mean retention_days?"


@pytest.mark.parametrize("arguments", [["--no-such", "hunter2"], ["--no=hunter2"], ["hunter2"], ["--port"]])
def test_what_the_command_line_does_not_take_is_one_line_without_its_value(arguments: list[str]) -> None:
    said = sentence(*arguments)
    assert "hunter2" not in said
    assert not arguments[0].startswith("--") or arguments[0].partition("=")[0] in said


def test_a_full_batch_must_be_able_to_wait() -> None:
    assert "MAX_BATCH_SIZE" in sentence("--max-waiting-events", "10")


def test_misspelt_variables_are_found() -> None:
    environment = {"RETENTION_DAY": "1", "MAX_BACH_SIZE": "1", "LOGLEVEL": "x", "postgres_conection_string": "x"}
    assert near_misses(environment) == {
        "RETENTION_DAY": "RETENTION_DAYS",
        "MAX_BACH_SIZE": "MAX_BATCH_SIZE",
        "LOGLEVEL": "LOG_LEVEL",
        "postgres_conection_string": "POSTGRES_CONNECTION_STRING",
    }


def test_what_is_spelt_right_or_is_another_thing_is_no_misspelling() -> None:
    right = [name.upper() for name in Settings.model_fields] + list(Settings.model_fields)
    others = ["PATH", "HOSTNAME", "HOME", "PORTS", "POSTGRES_USER", "POSTGRES_PASSWORD_FILE", "KUBERNETES_PORT"]
    assert near_misses(dict.fromkeys([*right, *others], "x")) == {}


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_needs_no_leave(host: str) -> None:
    assert load(["--host", host]).host == host


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "", "example.org", "::ffff:10.0.0.1"])
def test_any_other_bind_needs_leave(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    said = sentence("--host", host)
    assert said.startswith(f"HOST: {host} ")
    assert "TOKENS_FILE" in said
    assert "ALLOW_ANONYMOUS=true" in said
    assert load(["--host", host, "--allow-anonymous"]).host == host
    monkeypatch.setenv("ALLOW_ANONYMOUS", "true")
    assert load(["--host", host]).host == host


def test_a_role_without_routes_of_data_needs_nothing_that_lets_people_in(
    sources: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOST", "0.0.0.0")
    for name in ("TOKENS_FILE", "HOOKS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "not mounted here"))
        with pytest.raises(SettingsError, match=f"{name}: cannot read"):
            load()
        assert load(serving=False).hooks is None
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOOKS", '{"github": {"kind": "github", "secrets_file": "not mounted here either"}}')
    monkeypatch.setenv("TOKENS", CANARY)
    assert load(serving=False).host == "0.0.0.0"
    assert CANARY not in str(load(serving=False).public())


def test_of_the_commands_only_the_one_that_serves_asks_who_may_come_in(
    sources: Sources, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOST", "0.0.0.0")
    monkeypatch.setenv("TOKENS_FILE", str(sources.write("tokens", "broken by an edit")))
    codes = {}
    for command in (["serve"], ["healthcheck", "--port=1"], ["worker"]):
        with pytest.raises(SystemExit) as ended:
            main(command)
        codes[command[0]] = (ended.value.code, capsys.readouterr().err.partition(":")[2].split(":")[0].strip())
    assert codes == {"serve": (2, "TOKENS_FILE"), "healthcheck": (1, ""), "worker": (2, "worker")}


def test_with_tokens_any_bind_will_do(sources: Sources) -> None:
    sources.environment("host", "0.0.0.0")
    path = str(sources.write("tokens", lines(credential())))
    assert load(["--tokens-file", path]).host == "0.0.0.0"
    assert load(["--tokens", "[]"]).host == "0.0.0.0"


@pytest.mark.parametrize(
    "source", [Sources.command_line, Sources.environment, Sources.mounted], ids=lambda source: source.__name__
)
def test_tokens_are_taken_from_anywhere_and_never_shown(
    sources: Sources, source: Callable[[Sources, str, str], None]
) -> None:
    one = credential()
    source(sources, "tokens", one.line)
    settings = sources.load()
    assert settings.tokens == SecretStr(one.line)
    assert one.token.hash not in f"{settings!r} {settings.public()}"


@pytest.mark.parametrize("content", [CANARY, f'{{"token": "{CANARY}"}}', ""])
def test_wrong_tokens_are_named_and_never_shown(
    sources: Sources, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    path = str(sources.write("tokens", content))
    assert sentence("--tokens-file", path).startswith("TOKENS_FILE: ")
    monkeypatch.setenv("TOKENS", content)
    assert sentence().startswith("TOKENS: ")
    assert CANARY not in sentence("--tokens-file", path)


def test_a_file_of_tokens_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    missing = tmp_path / "tokens"
    assert sentence("--tokens-file", str(missing)).startswith(f"TOKENS_FILE: cannot read {missing}: No such file")


def test_help_lists_every_setting_with_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        load(["--help"], about="What it does.")
    assert not caught.value.code
    said = " ".join(capsys.readouterr().out.split())
    assert "What it does." in said
    options = said.partition(" options: ")[2]
    for name, field in Settings.model_fields.items():
        start = options.index(f"--{name.replace('_', '-')}")
        default = "none" if field.default is None else str(field.default)
        assert f"{field.description} (default: {default})" in options[start:], name
