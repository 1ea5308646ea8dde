"""The schema of the chart's values: strict at every level, and without a place for a password."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from app.settings import Settings
from tests.kube.charts import DEFAULTS, EXISTING, REDIS, Values
from tests.kube.rendered import CHART, RenderError, chart

SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())


def objects(schema: Values, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Every object that the values are made of, by its path."""
    while "$ref" in schema:
        schema = SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]]
    if "properties" in schema:
        yield path, dict(schema)
        for name, nested in schema["properties"].items():
            yield from objects(nested, (*path, name))


def at(path: tuple[str, ...]) -> Any:
    found: Any = DEFAULTS
    for name in path:
        found = found[name]
    return found


@pytest.mark.parametrize(
    "path", [path for path, _ in objects(SCHEMA)], ids=lambda path: ".".join(path) or "(root)"
)
def test_a_misspelt_value_is_refused_at_every_level(path: tuple[str, ...]) -> None:
    with pytest.raises(RenderError, match="'mispelt'"):
        chart(set={".".join((*path, "mispelt")): "x"})


def test_no_object_of_the_schema_takes_what_it_does_not_name() -> None:
    def walk(node: object, path: str) -> Iterator[str]:
        if isinstance(node, dict):
            named = isinstance(node.get("properties"), dict)
            if node.get("type") == "object" and named and node.get("additionalProperties") is not False:
                yield path
            for name, nested in node.items():
                yield from walk(nested, f"{path}/{name}")

    assert list(walk(SCHEMA, "")) == []
    # What has no names of its own: labels and annotations, all strings, and what a chart above gives to all.
    loose = {path for path, nested in _of_type_object(SCHEMA, "") if "properties" not in nested}
    assert loose == {"/properties/global", "/$defs/labels", "/$defs/annotations"}
    for strings in ("labels", "annotations"):
        assert SCHEMA["$defs"][strings]["additionalProperties"]["type"] == "string"


def _of_type_object(node: object, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, dict):
        if node.get("type") == "object":
            yield path, node
        for name, nested in node.items():
            yield from _of_type_object(nested, f"{path}/{name}")


def test_the_schema_and_the_values_name_the_same() -> None:
    for path, schema in objects(SCHEMA):
        if path[:1] == ("settings",) or path[-1:] in (("requests",), ("limits",)):
            continue  # maps, of which the values show some keys
        assert set(schema["properties"]) - {"global"} == set(at(path)), path


def test_settings_are_the_collectors_own_with_their_bounds() -> None:
    owned = {"HOST", "PORT", "WORKER_PORT", "SQLITE_PATH", "CONFIG", "CONFIG_DIR", "ALLOW_ANONYMOUS"} | {
        "DRAIN_SECONDS", "GRACEFUL_SECONDS", "REDIS_URL", "SPOOL_URL"
    } | {
        "POSTGRES_CONNECTION_STRING", "POSTGRES_REPLICA_CONNECTION_STRING", "POSTGRES_PASSWORD", "TOKENS",
        "TOKENS_FILE", "HOOKS"
    }  # fmt: skip
    said = SCHEMA["properties"]["settings"]["properties"]
    known = {name.upper(): schema for name, schema in Settings.model_json_schema()["properties"].items()}
    assert set(said) == set(known) - owned
    for name, schema in said.items():
        same = {key: value for key, value in known[name].items() if key not in ("default", "description", "title")}
        assert same.pop("type") == schema.get("type", "string"), name
        assert same == {key: value for key, value in schema.items() if key != "type"}, name


PASSWORDS: dict[str, Values] = {
    "a value of its own": {"database.existing.password": "secret"},
    "a setting": {"settings.POSTGRES_PASSWORD": "secret"},
    "the whole string": {"settings.POSTGRES_CONNECTION_STRING": "postgres://u:secret@h/d"},
    "in the host": {**EXISTING, "database.existing.host": "u:secret@h"},
    "in the user": {**EXISTING, "database.existing.user": "collector:secret"},
    "in the parameters": {**EXISTING, "database.existing.parameters": "sslmode=require&password=secret"},
    "in Redis' URL": {**REDIS, "redis.existing.url": "redis://user:secret@r:6379/0"},
}


@pytest.mark.parametrize("values", PASSWORDS.values(), ids=PASSWORDS)
def test_no_value_takes_a_password(values: Values) -> None:
    with pytest.raises(RenderError, match="don't meet the specifications of the schema"):
        chart(set=values)


WRONG: dict[str, Values] = {
    "a tag for a digest": {"image.digest": "v1"},
    "no such mode": {"database.mode": "mysql"},
    "no processes": {"replicas": 0},
    "a number in a string": {"replicas": "2"},
    "a size without a unit": {"database.embedded.size": "10"},
    "a negative time": {"leaving.drainSeconds": -1},
    "a setting that is none": {"settings.RETENTION_DAYS": "long"},
    "a peer that is none": {"networkPolicy.clients": [{"namespace": "web"}]},
    "a resource that is none": {"resources.limits": {"gpu": 1}},
}


@pytest.mark.parametrize("values", WRONG.values(), ids=WRONG)
def test_a_value_that_cannot_be_right_is_refused(values: Values) -> None:
    with pytest.raises(RenderError, match="don't meet the specifications of the schema"):
        chart(set=values)
