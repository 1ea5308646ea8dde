"""What /openapi.json says beyond the routes themselves: bodies, parameters, every status and its problem."""

from collections.abc import Sequence
from typing import Any

import msgspec

from app import cloudevents, errors
from app.errors import Problem
from app.events import MAX_KEY, Spooled, Stored
from app.formats import CSV, JSON, NDJSON
from app.query import MAX_REPEATED, MAX_VALUE, Parameter

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string", "minLength": 1, "maxLength": 200}
EVENT: Schema = {
    "type": "object",
    "required": ["source", "action"],
    "additionalProperties": False,
    "properties": {
        "source": {**_TEXT, "description": "Who. Trimmed; no control characters."},
        "action": {**_TEXT, "description": "What. Likewise."},
        "id": {**_TEXT, "type": ["string", "null"], "description": "With source, the event's identity."},
        "subject": {**_TEXT, "type": ["string", "null"], "description": "What it is about."},
        "time": {"type": ["string", "null"], "format": "date-time", "description": "When; absent: now."},
        "data": {"description": "Any JSON, at most 32 levels deep; integers of 64 bits."},
        "seq": {"description": "Taken and ignored, so that an export can be sent again."},
        "received_at": {"description": "Likewise."},
    },
}
_ATTRIBUTE: Schema = {"type": ["string", "null"]}
CLOUDEVENT: Schema = {
    "type": "object",
    "required": list(cloudevents.REQUIRED),
    "additionalProperties": {"type": ["string", "integer", "boolean", "null"]},
    "propertyNames": {"pattern": "^([a-z0-9]+|data_base64)$"},
    "properties": {
        "specversion": {"const": "1.0"},
        **dict.fromkeys(("id", "source", "type"), _TEXT),
        "subject": {**_TEXT, "type": ["string", "null"]},
        "time": {"type": ["string", "null"], "format": "date-time"},
        **dict.fromkeys(("datacontenttype", "dataschema", "data_base64"), _ATTRIBUTE),
        "data": {"description": "Any JSON, as of our own events."},
    },
}
RECEIPT: Schema = {
    "type": "object",
    "required": ["accepted", "spooled", "duplicates", "rejected", "results"],
    "properties": {
        **{name: {"type": "integer", "minimum": 0} for name in ("accepted", "spooled", "duplicates", "rejected")},
        "results": {
            "type": "array",
            "description": "What was not plainly accepted.",
            "items": {
                "type": "object",
                "required": ["index", "status"],
                "properties": {
                    "index": {
                        "type": "integer",
                        "description": "The event's place, from 0; in NDJSON its line's.",
                    },
                    "status": {"enum": ["spooled", "duplicate", "rejected"]},
                    "error": {
                        "type": "object",
                        "properties": {"detail": {"type": "string"}, "pointer": {"type": ["string", "null"]}},
                    },
                },
            },
        },
    },
}
PROBLEM: Schema = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "retryable"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "retryable": {"type": "boolean", "description": "Whether the same again may succeed."},
        "outcome": {
            "enum": ["not_kept", "unknown"],
            "description": "With 408, and of a write with 503.",
        },
        "earliest": {"type": "string", "description": "With 410: the cursor to go on from."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["detail"],
                "properties": {
                    "index": {"type": "integer"},
                    "pointer": {"type": "string"},
                    "detail": {"type": "string"},
                },
            },
        },
    },
}


def stored() -> Schema:
    """The schema of an event as it is read."""
    return _described(Stored)


def spooled() -> Schema:
    """The schema of an event that waits for its commit."""
    return _described(Spooled)


def described(struct: type[msgspec.Struct]) -> Schema:
    """The schema of what we say, all of it in one place."""
    _, parts = msgspec.json.schema_components([struct], ref_template="{name}")

    def whole(part: Any) -> Any:
        if isinstance(part, list):
            return [whole(one) for one in part]
        if not isinstance(part, dict):
            return part
        if name := part.get("$ref"):
            return whole(parts[name])
        return {key: whole(value) for key, value in part.items()}

    found: Schema = whole(parts[struct.__name__])
    return found


def _described(struct: type[msgspec.Struct]) -> Schema:
    event = described(struct)
    event["properties"]["data"] = {"description": "As it was sent."}
    return event


def responses(*causes: type[Problem], **given: Schema) -> dict[int | str, dict[str, Any]]:
    """Responses for a route: `ok_200=…` for what it gives, and a problem for each cause."""
    found: dict[int | str, dict[str, Any]] = {}
    for name, content in given.items():
        found[int(name.removeprefix("ok_"))] = content
    every: tuple[type[Problem], ...] = (*causes, errors.TooSlow, errors.HeadersTooLarge, errors.Internal)
    for cause in every:
        text = found.get(cause.status, {}).get("description", "")
        found[cause.status] = {
            "description": " ".join(filter(None, (text, cause.title()))),
            "content": {"application/problem+json": {"schema": PROBLEM}},
        }
    return found


def gives(description: str, schema: Schema, *others: str) -> dict[str, Any]:
    """A response of JSON, and of other media types as text."""
    content: dict[str, Any] = {JSON: {"schema": schema}}
    content |= {media: {"schema": {"type": "string"}} for media in others}
    return {"description": description, "content": content}


def takes(*groups: Sequence[Parameter]) -> dict[str, Any]:
    """The query parameters of a route."""
    return {"parameters": [_parameter(one) for group in groups for one in group]}


def with_data_filter(operation: dict[str, Any]) -> dict[str, Any]:
    """Adds `data.<path>`, whose names no list can hold."""
    value = {"type": "string", "minLength": 1, "maxLength": MAX_VALUE}
    operation["parameters"].append(
        {
            "name": "data",
            "in": "query",
            "description": "`data.<path>=value`: the text at a path into data; a number is a place in a list.",
            "style": "form",
            "explode": True,
            "schema": {
                "type": "object",
                "propertyNames": {"pattern": r"^data(\.[a-z0-9_]+)+$"},
                "additionalProperties": value,
                "maxProperties": 3,
            },
        }
    )
    return operation


def in_path(name: str, schema: Schema) -> dict[str, Any]:
    """A parameter in the path."""
    return {"parameters": [{"name": name, "in": "path", "required": True, "schema": schema}]}


def in_headers(operation: dict[str, Any], *lines: tuple[str, str, Schema]) -> dict[str, Any]:
    """Adds request headers: name, description, schema."""
    parameters = operation.setdefault("parameters", [])
    parameters += [
        {"name": name, "in": "header", "description": about, "schema": schema} for name, about, schema in lines
    ]
    return operation


def near(operation: dict[str, Any]) -> dict[str, Any]:
    """Adds the position that a read may show."""
    return in_headers(operation, ("Collector-Position", SHOWN, POSITION))


def bears_position(response: dict[str, Any]) -> dict[str, Any]:
    """Adds the position that a write's answer bears."""
    return response | {"headers": {"Collector-Position": {"description": BORNE, "schema": POSITION}}}


def post_body() -> dict[str, Any]:
    """The body of POST /events."""
    return {
        "requestBody": {
            "required": True,
            "content": {
                JSON: {"schema": {"anyOf": [EVENT, {"type": "array", "items": EVENT}]}},
                NDJSON: {"schema": {"type": "string", "description": "One event a line."}},
                cloudevents.STRUCTURED: {"schema": CLOUDEVENT},
                cloudevents.BATCHED: {"schema": {"type": "array", "items": CLOUDEVENT}},
            },
        }
    }


POSITION: Schema = {"type": "string", "pattern": "^[0-9]{1,16}$"}
SHOWN = "What a write's answer bore: all up to there is seen, also where a replica near the reader is behind."
BORNE = "How far the log is with this. Opaque; of two, the greater number is the later."
EXPORTS = (NDJSON, CSV)
SCHEMES: Schema = {
    "token": {"type": "http", "scheme": "bearer", "description": "As `collector token new` prints it."}
}
WITH: list[Schema] = [{"token": []}]
WITH_OR_WITHOUT: list[Schema] = [*WITH, {}]  # a collector without tokens asks for none


def _parameter(one: Parameter) -> dict[str, Any]:
    many = {"type": "array", "items": one.schema, "maxItems": MAX_REPEATED}
    schema = many if one.repeatable else one.schema
    found = {"name": one.name, "in": "query", "description": one.about, "schema": schema}
    return found | ({"required": True} if one.required else {})


IDEMPOTENCY_KEY: Schema = {"type": "string", "minLength": 1, "maxLength": MAX_KEY, "pattern": "^[!#-~]+$"}
