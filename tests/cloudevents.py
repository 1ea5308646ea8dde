"""The examples of the CloudEvents 1.0.2 specification: its JSON format, and its HTTP binding's binary mode."""

import json
from typing import Any, NamedTuple

Json = dict[str, Any]


class Example(NamedTuple):
    """One event in both modes. `headers` and `body` are those of the binary one."""

    document: Json
    headers: dict[str, str]
    body: bytes
    data: Any  # of the event that is kept


COMMON = {
    "specversion": "1.0",
    "type": "com.example.someevent",
    "source": "/mycontext",
    "time": "2018-04-05T17:31:00Z",
    "comexampleextension1": "value",
    "comexampleothervalue": 5,
}
HEADERS = {
    "ce-specversion": "1.0",
    "ce-type": "com.example.someevent",
    "ce-source": "/mycontext",
    "ce-time": "2018-04-05T17:31:00Z",
    "ce-comexampleextension1": "value",
    "ce-comexampleothervalue": "5",
}
EXTENSIONS = {"comexampleextension1": "value", "comexampleothervalue": "5"}
THRIFT = "application/vnd.apache.thrift.binary"
APPINFO = {"appinfoA": "abc", "appinfoB": 123, "appinfoC": True}

EXAMPLES = {
    # The specification has words where the bytes would be.
    "bytes": Example(
        {**COMMON, "id": "A234-1234-1234", "datacontenttype": THRIFT, "data_base64": "gAEAAQ=="},
        {**HEADERS, "ce-id": "A234-1234-1234", "content-type": THRIFT},
        b"\x80\x01\x00\x01",
        {"data": {"data_base64": "gAEAAQ=="}, "with": {**EXTENSIONS, "datacontenttype": THRIFT}},
    ),
    "XML": Example(
        {
            **COMMON,
            "id": "B234-1234-1234",
            "unsetextension": None,
            "datacontenttype": "application/xml",
            "data": '<much wow="xml"/>',
        },
        {**HEADERS, "ce-id": "B234-1234-1234", "content-type": "application/xml"},
        b'<much wow="xml"/>',
        {"data": {"data": '<much wow="xml"/>'}, "with": {**EXTENSIONS, "datacontenttype": "application/xml"}},
    ),
    "an object": Example(
        {
            **COMMON,
            "id": "C234-1234-1234",
            "subject": None,
            "datacontenttype": "application/json",
            "data": APPINFO,
        },
        {**HEADERS, "ce-id": "C234-1234-1234", "content-type": "application/json"},
        json.dumps(APPINFO, indent=2).encode(),
        {"data": APPINFO, "with": EXTENSIONS},
    ),
    "a text": Example(
        {**COMMON, "id": "D234-1234-1234", "subject": None, "data": "I'm just a string"},
        {**HEADERS, "ce-id": "D234-1234-1234", "content-type": "application/json"},
        b'"I\'m just a string"',
        {"data": {"data": "I'm just a string"}, "with": EXTENSIONS},
    ),
}
BATCH = [
    {
        **COMMON,
        "source": "/mycontext/4",
        "id": "B234-1234-1234",
        "datacontenttype": THRIFT,
        "data_base64": "... base64 encoded string ...",
    },
    {
        **COMMON,
        "type": "com.example.someotherevent",
        "source": "/mycontext/9",
        "id": "C234-1234-1234",
        "time": "2018-04-05T17:31:05Z",
        "datacontenttype": "application/json",
        "data": APPINFO,
    },
]


def kept_as(example: Example) -> Any:
    """The `data` of the event that the example becomes."""
    return {**example.data["data"], "cloudevent": example.data["with"]}
