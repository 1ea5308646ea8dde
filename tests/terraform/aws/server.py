"""Moto's server, and what it lacks of EKS: add-ons, access entries, Pod Identity associations, some settings.

Run by the Python that Moto is installed in, on 127.0.0.1: `python server.py PORT`. Whatever is written is there at
once and whole, so that nothing of Terraform's waiting is shown here; the shapes are those of the EKS API.
"""

import io
import json
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import Any
from urllib.parse import unquote

Environ = dict[str, Any]
Body = dict[str, Any]
Start = Callable[..., Any]
Wsgi = Callable[[Environ, Start], Iterable[bytes]]

ARN = "arn:aws:eks:eu-central-1:123456789012"
CREATED = 1_800_000_000  # seconds since 1970; nobody asks when
# What Moto takes and forgets, of clusters and of node groups; and what it makes up, of node groups.
FORGOTTEN = ("accessConfig", "upgradePolicy", "updateConfig")
MADE_UP = ("remoteAccess",)
# Moto puts a launch template's own tags among those of what is launched by it.
OWN_TAGS = re.compile(rb"<item>\s*<resourceType>launch-template</resourceType>.*?</tagSet>\s*</item>", re.DOTALL)
# By a collection's name in a path: how one of it is called in an answer, all of it, and what one is found by.
KINDS = {
    "addons": ("addon", "addons", "addonName"),
    "access-entries": ("accessEntry", "accessEntries", "principalArn"),
    "pod-identity-associations": ("association", "associations", "associationId"),
}
PATH = re.compile(
    rf"/clusters/(?P<cluster>[^/]+)/(?P<kind>{'|'.join(KINDS)})(?:/(?P<name>[^/]+))?"
    r"(?:/(?P<verb>access-policies|update)(?:/(?P<policy>[^/]+))?)?"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A request for what Moto lacks."""

    method: str
    body: Body
    cluster: str
    kind: str
    name: str
    verb: str
    policy: str


class Extended:
    """Answers for what Moto lacks; leaves everything else to `moto`."""

    def __init__(self, moto: Wsgi) -> None:
        self._moto = moto
        self._kept: dict[tuple[str, str, str], Body] = {}
        self._policies: dict[tuple[str, str], dict[str, Body]] = {}
        self._forgotten: dict[str, Body] = {}

    def __call__(self, environ: Environ, start: Start) -> Iterable[bytes]:
        """Serve one request."""
        # As it was sent: an ARN's slashes are part of a name.
        path = str(environ.get("RAW_URI", environ["PATH_INFO"])).partition("?")[0]
        if found := PATH.fullmatch(path):
            parts = {key: unquote(value or "") for key, value in found.groupdict().items()}
            return self._own(start, Asked(method=environ["REQUEST_METHOD"], body=_body(environ), **parts))
        if path.startswith("/clusters"):
            return self._completed(environ, start, path)
        if path == "/":
            return self._changed(environ, start, lambda raw: OWN_TAGS.sub(b"", raw))
        return self._moto(environ, start)

    def _own(self, start: Start, asked: Asked) -> list[bytes]:
        answer = self._policy if asked.verb == "access-policies" else self._one
        try:
            return _answer(start, answer(asked))
        except KeyError:
            said = {"message": f"no {asked.kind} {asked.name}"}
            return _answer(start, said, "404 Not Found", ("x-amzn-ErrorType", "ResourceNotFoundException"))

    def _one(self, asked: Asked) -> Body:
        word, words, _ = KINDS[asked.kind]
        key = (asked.cluster, asked.kind, asked.name)
        if not asked.name:
            return {word: self._made(asked)} if asked.method == "POST" else {words: self._listed(asked)}
        if asked.method == "DELETE":
            return {word: self._kept.pop(key)}
        self._kept[key].update(asked.body)
        return {word: self._kept[key], "update": {"id": "1", "status": "Successful"}}

    def _made(self, asked: Asked) -> Body:
        number = len(self._kept) + 1
        arn = f"{ARN}:{asked.kind}/{asked.cluster}/{number}"
        made = {
            "clusterName": asked.cluster,
            "status": "ACTIVE",
            "createdAt": CREATED,
            "modifiedAt": CREATED,
            "addonArn": arn,
            "accessEntryArn": arn,
            "associationArn": arn,
            "associationId": f"a-{number}",
            **asked.body,
        }
        self._kept[asked.cluster, asked.kind, made[KINDS[asked.kind][2]]] = made
        return made

    def _listed(self, asked: Asked) -> list[Any]:
        mine = {key[2]: one for key, one in self._kept.items() if key[:2] == (asked.cluster, asked.kind)}
        return list(mine.values() if asked.kind == "pod-identity-associations" else mine)

    def _policy(self, asked: Asked) -> Body:
        entry = self._kept[asked.cluster, "access-entries", asked.name]
        of = {"clusterName": asked.cluster, "principalArn": entry["principalArn"]}
        policies = self._policies.setdefault((asked.cluster, asked.name), {})
        if asked.method == "POST":
            made = {"associatedAt": CREATED, "modifiedAt": CREATED, **asked.body}
            policies[asked.body["policyArn"]] = made
            return {**of, "associatedAccessPolicy": made}
        if asked.method == "DELETE":
            del policies[asked.policy]
            return {}
        return {**of, "associatedAccessPolicies": list(policies.values())}

    def _completed(self, environ: Environ, start: Start, path: str) -> list[bytes]:
        asked = _body(environ)
        if named := asked.get("nodegroupName", asked.get("name")):
            path = f"{path}/{named}"
            self._forgotten[path] = {key: asked[key] for key in FORGOTTEN if key in asked}
        return self._changed(environ, start, lambda raw: _completed(raw, self._forgotten.get(path, {})))

    def _changed(self, environ: Environ, start: Start, change: Callable[[bytes], bytes]) -> list[bytes]:
        told: list[Any] = []
        answer = change(b"".join(self._moto(environ, lambda *words: told.extend(words))))
        headers = [(key, value) for key, value in told[1] if key.lower() != "content-length"]
        start(told[0], [*headers, ("Content-Length", str(len(answer)))])
        return [answer]


def _completed(raw: bytes, forgotten: Body) -> bytes:
    said = json.loads(raw or b"{}")
    for word in said.keys() & {"cluster", "nodegroup"}:
        kept = {key: value for key, value in said[word].items() if key not in MADE_UP}
        said[word] = {**kept, **forgotten}
    return json.dumps(said).encode()


def _body(environ: Environ) -> Body:
    raw = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(raw)  # Moto reads it again
    return dict(json.loads(raw)) if raw else {}


def _answer(start: Start, body: Body, status: str = "200 OK", *headers: tuple[str, str]) -> list[bytes]:
    raw = json.dumps(body).encode()
    start(status, [("Content-Type", "application/json"), ("Content-Length", str(len(raw))), *headers])
    return [raw]


def main(port: int) -> None:
    """Serve until killed."""
    moto = import_module("moto.moto_server.werkzeug_app")
    app = Extended(moto.DomainDispatcherApplication(moto.create_backend_app))
    import_module("werkzeug.serving").run_simple("127.0.0.1", port, app, threaded=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
