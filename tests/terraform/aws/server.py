"""Moto's server, and what it lacks of EKS: add-ons, access entries, Pod Identity associations, some settings.

Run by the Python that Moto is installed in, on 127.0.0.1: `python server.py PORT`. Whatever is written is there at once
and whole, so that nothing of Terraform's waiting is shown here; the shapes are those of the EKS API.
"""

import json
import re
import sys
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any
from urllib.parse import unquote

Environ = dict[str, Any]
Body = dict[str, Any]
Start = Callable[..., Any]
Wsgi = Callable[[Environ, Start], Iterable[bytes]]

ACCOUNT = "123456789012"
REGION = "eu-central-1"
CREATED = 1_800_000_000  # seconds since 1970; nobody asks when
# What Moto takes and forgets, of clusters and of node groups; and what it makes up, of node groups.
FORGOTTEN = ("accessConfig", "upgradePolicy", "updateConfig")
MADE_UP = ("remoteAccess",)
# Moto puts a launch template's own tags among those of what is launched by it.
_OWN_TAGS = re.compile(rb"<item>\s*<resourceType>launch-template</resourceType>.*?</tagSet>\s*</item>", re.DOTALL)
# How a collection is called in a path, what one of it is called in an answer, and by which field it is found.
KINDS = {
    "addons": ("addon", "addonName"),
    "access-entries": ("accessEntry", "principalArn"),
    "pod-identity-associations": ("association", "associationId"),
}
_PATH = re.compile(rf"^/clusters/([^/]+)/({'|'.join(KINDS)})(?:/([^/]+))?(?:/(access-policies|update)(?:/([^/]+))?)?$")


class Missing(Exception):
    """There is none of that name."""


class Extended:
    """Answers for what Moto lacks; leaves everything else to `moto`."""

    def __init__(self, moto: Wsgi) -> None:
        self._moto = moto
        self._kept: dict[tuple[str, str, str], Body] = {}
        self._policies: dict[tuple[str, str], dict[str, Body]] = {}
        self._forgotten: dict[str, Body] = {}

    def __call__(self, environ: Environ, start: Start) -> Iterable[bytes]:
        """Serve one request."""
        path = environ.get("RAW_URI", environ["PATH_INFO"]).partition("?")[0]
        if found := _PATH.match(path):
            cluster, kind, *rest = (part and unquote(part) for part in found.groups())
            return self._own(environ, start, cluster, kind, *rest)
        if path.startswith("/clusters"):
            return self._completed(environ, start, path)
        if path == "/":
            return self._without_own_tags(environ, start)
        return self._moto(environ, start)

    def _own(self, environ: Environ, start: Start, cluster: str, kind: str, name: str, verb: str, more: str) -> list[bytes]:
        method, asked = environ["REQUEST_METHOD"], _body(environ)
        try:
            if verb == "access-policies":
                return _answer(start, self._policy(method, cluster, name, more, asked))
            return _answer(start, self._one(method, cluster, kind, name, asked))
        except (KeyError, Missing):
            return _answer(start, {"message": f"no {kind} {name}"}, "404 Not Found", "ResourceNotFoundException")

    def _one(self, method: str, cluster: str, kind: str, name: str, asked: Body) -> Body:
        word, found_by = KINDS[kind]
        if method == "POST" and not name:
            number = str(len(self._kept) + 1)
            made = {"clusterName": cluster, "status": "ACTIVE", "createdAt": CREATED, "modifiedAt": CREATED, **asked}
            made.setdefault("associationId", f"a-{number}")
            for arn in ("addonArn", "accessEntryArn", "associationArn"):
                made[arn] = f"arn:aws:eks:{REGION}:{ACCOUNT}:{kind}/{cluster}/{number}"
            self._kept[cluster, kind, made[found_by]] = made
            return {word: made}
        if not name:
            return {word + "s": [one for (of, is_a, _), one in self._kept.items() if (of, is_a) == (cluster, kind)]}
        if method == "DELETE":
            return {word: self._kept.pop((cluster, kind, name))}
        self._kept[cluster, kind, name].update(asked)
        return {word: self._kept[cluster, kind, name], "update": {"id": "1", "status": "Successful"}}

    def _policy(self, method: str, cluster: str, principal: str, policy: str, asked: Body) -> Body:
        if (cluster, "access-entries", principal) not in self._kept:
            raise Missing
        policies = self._policies.setdefault((cluster, principal), {})
        of = {"clusterName": cluster, "principalArn": principal}
        if method == "POST":
            made = {"associatedAt": CREATED, "modifiedAt": CREATED, **asked}
            policies[asked["policyArn"]] = made
            return {**of, "associatedAccessPolicy": made}
        if method == "DELETE":
            del policies[policy]
            return {}
        return {**of, "associatedAccessPolicies": list(policies.values())}

    def _completed(self, environ: Environ, start: Start, path: str) -> list[bytes]:
        asked = _body(environ)
        if named := asked.get("nodegroupName", asked.get("name")):
            self._forgotten[f"{path}/{named}"] = {key: asked[key] for key in FORGOTTEN if key in asked}
            path = f"{path}/{named}"
        return self._changed(environ, start, lambda raw: _completed(raw, self._forgotten.get(path, {})))

    def _without_own_tags(self, environ: Environ, start: Start) -> list[bytes]:
        return self._changed(environ, start, lambda raw: _OWN_TAGS.sub(b"", raw))

    def _changed(self, environ: Environ, start: Start, change: Callable[[bytes], bytes]) -> list[bytes]:
        told: list[Any] = []
        answer = change(b"".join(self._moto(environ, lambda *words: told.extend(words))))
        headers = [(key, value) for key, value in told[1] if key.lower() != "content-length"]
        start(told[0], [*headers, ("Content-Length", str(len(answer)))])
        return [answer]


def _completed(raw: bytes, forgotten: Body) -> bytes:
    said = json.loads(raw or b"{}")
    for one in (said[key] for key in ("cluster", "nodegroup") if key in said):
        one |= forgotten
        for key in MADE_UP:
            one.pop(key, None)
    return json.dumps(said).encode()


def _body(environ: Environ) -> Body:
    size = int(environ.get("CONTENT_LENGTH") or 0)
    raw = environ["wsgi.input"].read(size)
    environ["wsgi.input"] = import_module("io").BytesIO(raw)  # Moto reads it again
    return dict(json.loads(raw)) if raw else {}


def _answer(start: Start, body: Body, status: str = "200 OK", error: str = "") -> list[bytes]:
    raw = json.dumps(body).encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(raw)))]
    start(status, [*headers, ("x-amzn-ErrorType", error)] if error else headers)
    return [raw]


def main(port: int) -> None:
    """Serve until killed."""
    moto = import_module("moto.moto_server.werkzeug_app")
    app = Extended(moto.DomainDispatcherApplication(moto.create_backend_app))
    import_module("werkzeug.serving").run_simple("127.0.0.1", port, app, threaded=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
