"""Drift: what Argo CD would see as a difference for ever, though nobody has changed anything.

It compares what git says with what the API server made of it. What the server adds to a map is no difference; what
it adds inside a list of a custom resource is one, since such a list is compared as a whole; and what it writes
otherwise than git does is one anywhere. Built-in kinds get their defaults on both sides of its comparison, so
of these only what is written otherwise counts. Not judged: what a webhook or a controller changes later.
"""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from typing import Any

from tests.kube.findings import Finding
from tests.kube.rendered import Manifest
from tests.kube.schemas import OPERATORS, Module, Schema
from tests.kube.tools import NotHere

AMOUNTS = {"requests", "limits", "hard", "capacity"}  # maps of quantities
PORTS = {"containerPort", "targetPort"}
AMOUNT = {"sizeLimit", "averageValue", "divisor"}
MEANT = {"emptyDir", "podSelector", "namespaceSelector", "rollingUpdate"}  # empty, and yet they say something
SIZES = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
TENS = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12}


def drift(manifest: Manifest) -> list[Finding]:
    """Give everything of a manifest that would never be in sync. Raises NotHere without schemas."""
    name = f"{manifest['kind']}/{manifest['metadata']['name']}"
    said = [*written_otherwise(manifest), *half_identified(manifest)]
    schema = custom(manifest)
    if schema is not None:
        said += added_in_lists(manifest, defaulted(schema, manifest))
    return [Finding(check="drift", object=name, says=each) for each in said]


def custom(manifest: Manifest) -> Schema | None:
    """The schema of a custom resource, with its defaults; None for a built-in kind."""
    group, _, version = manifest["apiVersion"].rpartition("/")
    return _schema(f"{group}/{manifest['kind'].lower()}_{version}.json")


@cache
def _schema(name: str) -> Schema | None:
    for module in OPERATORS:
        if not module.folder.is_dir():
            raise NotHere(f"no schemas of {module.path} in .tools: `make check-deploy` makes them")
    return next((found for module in OPERATORS if (found := _read(module, name)) is not None), None)


def _read(module: Module, name: str) -> Schema | None:
    path = module.folder / name
    return dict(json.loads(path.read_text())) if path.exists() else None


def defaulted(schema: Schema, value: Any) -> Any:
    """Give what an API server stores of a custom resource: with every default that its definition has."""
    if isinstance(value, dict):
        fields = schema.get("properties", {})
        missing = {key: each["default"] for key, each in fields.items() if "default" in each and key not in value}
        return {key: defaulted(_of(schema, key), nested) for key, nested in {**value, **missing}.items()}
    if isinstance(value, list):
        return [defaulted(schema.get("items") or {}, each) for each in value]
    return value


def _of(schema: Schema, key: str) -> Schema:
    more = schema.get("additionalProperties")
    return dict(schema.get("properties", {}).get(key) or (more if isinstance(more, dict) else {}))


def added_in_lists(ours: Any, stored: Any, path: str = "", *, inside: bool = False) -> Iterator[str]:
    """Tell what the stored one has inside a list, and ours has not."""
    if isinstance(ours, dict):
        for key, nested in stored.items():
            if key in ours:
                yield from added_in_lists(ours[key], nested, f"{path}.{key}", inside=inside)
            elif inside:
                yield f"{path}.{key} is left out, and becomes {json.dumps(nested)}"
    elif isinstance(ours, list):
        for place, (mine, theirs) in enumerate(zip(ours, stored, strict=True)):
            yield from added_in_lists(mine, theirs, f"{path}[{place}]", inside=True)


def half_identified(manifest: Manifest) -> Iterator[str]:
    """Tell of elements that the server knows by a key which is left out, and of claims without a kind."""
    for path, node in _nodes(manifest):
        if isinstance(node, dict) and PORTS & node.keys() and "protocol" not in node:
            yield f"{path}.protocol is left out, and a port is known by it"
        if re.search(r"\.volumeClaimTemplates\[\d+\]$", path):
            left_out = {"apiVersion", "kind"} - node.keys() | {"volumeMode"} - node["spec"].keys()
            if left_out:
                yield f"{path} leaves out {', '.join(sorted(left_out))}, which the API server writes"


def written_otherwise(manifest: Manifest) -> Iterator[str]:
    """Tell what an API server stores in another form, or not at all."""
    for path, node in _nodes(manifest):
        key = path.rpartition(".")[2]
        if node is None:
            yield f"{path} is null, which is not stored"
        if node in ({}, []) and key not in MEANT:
            yield f"{path} is empty, which is not stored"
        if key == "creationTimestamp" or path == ".status":
            yield f"{path} is the API server's"
        for field, amount in _amounts(key, node):
            if (written := canonical(amount)) != str(amount):
                yield f"{path}{field} is {amount}, and becomes {written}"


def _amounts(key: str, node: Any) -> Iterator[tuple[str, Any]]:
    if key in AMOUNTS and isinstance(node, dict):
        yield from ((f".{name}", amount) for name, amount in node.items())
    if key in AMOUNT and not isinstance(node, dict | list):
        yield "", node


def _nodes(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    yield path, node
    if isinstance(node, dict):
        for key, nested in node.items():
            yield from _nodes(nested, f"{path}.{key}")
    elif isinstance(node, list):
        for place, nested in enumerate(node):
            yield from _nodes(nested, f"{path}[{place}]")


def canonical(amount: Any) -> str:
    """Give a quantity as Kubernetes writes it: whole, with the largest suffix that leaves it so."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]i|[numkMGT]?)", str(amount))
    if found is None:
        return str(amount)
    number, suffix = Decimal(found[1]), found[2]
    if suffix in SIZES:
        size = number * SIZES[suffix]
        whole = (f"{size // SIZES[each]:f}{each}" for each in reversed(SIZES) if size % SIZES[each] == 0)
        return next(whole, f"{size:f}")
    value = number * Decimal(10) ** TENS[suffix]
    if not value:
        return "0"
    largest = next(each for each in reversed(TENS) if value.scaleb(-TENS[each]) % 1 == 0)
    return f"{value.scaleb(-TENS[largest]).to_integral_value():f}{largest}"
