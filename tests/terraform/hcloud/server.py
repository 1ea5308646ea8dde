"""Hetzner Cloud's API on loopback, with a project that is empty at first."""

import json
import re
from collections.abc import Mapping
from copy import deepcopy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Self
from urllib.parse import parse_qs, urlsplit

from tests.ports import LOOPBACK
from tests.terraform.hcloud import making
from tests.terraform.hcloud.changes import CHANGES
from tests.terraform.hcloud.things import CREATED, MADE, WORDS, Body, Refused, Things, servers_of

TOKEN = "0" * 64  # the provider wants as many characters
PATH = re.compile(r"/v1/(?P<collection>[a-z_]+)(?:/(?P<number>\d+))?(?:/actions/(?P<verb>[a-z_]+))?")
FILTERS = {"name", "architecture", "id"}
OF_A_PAGE = {"page", "per_page", "sort", "include_deprecated"}  # everything is on one page, and nothing deprecated
Queried = Mapping[str, list[str]]


class Hcloud:
    """The API; as a context manager it is served inside. What it was asked for and has not is in `lacking`."""

    def __init__(self) -> None:
        self._things = Things()
        self._lock = Lock()
        self.lacking: list[str] = []
        self._server = ThreadingHTTPServer((LOOPBACK, 0), _handler(self))
        self.url = f"http://{LOOPBACK}:{self._server.server_port}/v1"

    def __enter__(self) -> Self:
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def remains(self) -> dict[str, list[str]]:
        """Give the names of what there is, by collection, where there is any."""
        with self._lock:
            names = {kind: [str(one["name"]) for one in self._things.kept[kind].values()] for kind in MADE}
        return {kind: sorted(ones) for kind, ones in names.items() if ones}

    def of(self, collection: str) -> list[Body]:
        """Give everything of a collection, as the API shows it."""
        with self._lock:
            ones = list(self._things.kept[collection].values())
            return deepcopy([self._things.shown(collection, one) for one in ones])

    def answer(self, method: str, target: str, asked: Body, *, token: str) -> tuple[int, Body]:
        """Give the status and the body for a request."""
        parts = urlsplit(target)
        with self._lock:
            try:
                if token != TOKEN:
                    raise Refused("unauthorized", "unable to authenticate", status=401)
                status, said = self._answered(method, parts.path, parse_qs(parts.query), asked)
            except Refused as error:
                status, said = error.status, {"error": {"code": error.code, "message": str(error)}}
            return status, deepcopy(said)

    def _answered(self, method: str, path: str, query: Queried, asked: Body) -> tuple[int, Body]:
        found = PATH.fullmatch(path)
        collection, number, verb = found.groups() if found else ("", None, None)
        match method, number, verb:
            case "GET", None, None if collection in WORDS and query.keys() <= FILTERS | OF_A_PAGE:
                return 200, self._listed(collection, query)
            case "GET", str(), None if collection in WORDS:
                return 200, self._one(collection, self._things.get(collection, int(number)))
            case "POST", None, None if collection in MADE:
                return 201, self._made(collection, asked)
            case "PUT", str(), None if collection in MADE and asked.keys() <= {"name", "labels"}:
                one = self._things.get(collection, int(number))
                one.update(asked)
                return 200, self._one(collection, one)
            case "DELETE", str(), None if collection in MADE:
                return self._deleted(collection, self._things.get(collection, int(number)))
            case "POST", str(), str() if (collection, verb) in CHANGES:
                return 201, self._changed(collection, verb, self._things.get(collection, int(number)), asked)
        self.lacking.append(f"{method} {path} {dict(query)} {asked}")
        raise Refused("not_implemented", f"not here: {self.lacking[-1]}", status=501)

    def _listed(self, collection: str, query: Queried) -> Body:
        wanted = {key: query[key] for key in FILTERS & query.keys()}
        ones = [
            self._one(collection, one)[WORDS[collection]]
            for one in list(self._things.kept[collection].values())
            if all(str(one.get(key)) in values for key, values in wanted.items())
        ]
        pages = {"page": 1, "per_page": 50, "previous_page": None, "next_page": None, "last_page": 1}
        return {collection: ones, "meta": {"pagination": {**pages, "total_entries": len(ones)}}}

    def _one(self, collection: str, one: Body) -> Body:
        if collection == "actions":  # each is running until somebody asks
            one.update(status="success", progress=100, finished=CREATED)
        return {WORDS[collection]: self._things.shown(collection, one)}

    def _made(self, collection: str, asked: Body) -> Body:
        one = self._things.add(collection, getattr(making, WORDS[collection])(self._things, asked))
        said: Body = {}
        match collection:
            case "servers":
                for firewall in asked.get("firewalls", []):
                    target = {"apply_to": [{"type": "server", "server": {"id": one["id"]}}]}
                    CHANGES["firewalls", "apply_to_resources"](
                        self._things, self._things.get("firewalls", firewall["firewall"]), target
                    )
                for network in asked.get("networks", []):
                    self._things.attach(collection, one, {"network": network})
                said = {"action": self._action(collection, one, "create_server"), "next_actions": []}
            case "load_balancers":
                said = {"action": self._action(collection, one, "create_load_balancer")}
            case "firewalls":
                said = {"actions": []}
        return {WORDS[collection]: self._things.shown(collection, one), **said}

    def _changed(self, collection: str, verb: str, one: Body, asked: Body) -> Body:
        CHANGES[collection, verb](self._things, one, asked)
        action = self._action(collection, one, verb)
        return {"actions": [action]} if collection == "firewalls" else {"action": action}

    def _deleted(self, collection: str, one: Body) -> tuple[int, Body]:
        if one.get("protection", {}).get("delete"):
            raise Refused("protected", f"{WORDS[collection]} deletion is protected", status=423)
        if collection == "firewalls" and servers_of(one):
            raise Refused("resource_in_use", f"{one['name']} is applied to {servers_of(one)}", status=409)
        del self._things.kept[collection][one["id"]]
        self._forget(collection, one["id"])
        if collection in ("servers", "load_balancers"):
            return 200, {"action": self._action(collection, one, f"delete_{WORDS[collection]}")}
        return 204, {}

    def _forget(self, collection: str, number: int) -> None:
        """Take what is gone out of what named it: the API does so where it does not refuse."""
        kept = self._things.kept
        if collection == "servers":
            for key, others in (("applied_to", kept["firewalls"]), ("targets", kept["load_balancers"])):
                for other in others.values():
                    other[key] = [each for each in other[key] if each["server"]["id"] != number]
        if collection == "networks":
            for other in [*kept["servers"].values(), *kept["load_balancers"].values()]:
                other["private_net"] = [net for net in other["private_net"] if net["network"] != number]
        if collection == "placement_groups":
            for other in kept["servers"].values():
                other["placement_group"] = None if other["placement_group"] == number else other["placement_group"]

    def _action(self, collection: str, one: Body, command: str) -> Body:
        action = {
            "command": command,
            "status": "running",
            "progress": 0,
            "started": CREATED,
            "finished": None,
            "error": None,
            "resources": [{"id": one["id"], "type": WORDS[collection]}],
        }
        return dict(self._things.add("actions", action))  # as it is now


def _handler(hcloud: Hcloud) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # an answer is one write: a second one would wait for the first to be acknowledged

        def _serve(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
            status, said = hcloud.answer(self.command, self.path, json.loads(raw or b"null") or {}, token=token)
            answer = json.dumps(said).encode() if said else b""
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 -- names of http.server

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- likewise
            """Say nothing."""

    return Handler
