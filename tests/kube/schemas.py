"""Schemas: what a cluster would take, of each kind, as JSON Schema that refuses every field it does not know.

They are made of the OpenAPI of Kubernetes and of the CRDs of operators, which their Go modules carry, and lie in
.tools/schemas as kubeconform looks for them: `<module>@<version>/<group>/<kind>_<version>.json`. What only an API
server evaluates (CEL rules, admission) is not in them.
"""

import json
import shutil
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.kube.rendered import parse
from tests.kube.tools import FOLDER, NotHere, go, run_go

Schema = dict[str, Any]

DRAFT = "http://json-schema.org/draft-04/schema#"  # OpenAPI's: exclusiveMinimum is a boolean
TEMPLATE = "{{.Group}}/{{.ResourceKind}}_{{.ResourceAPIVersion}}.json"
CLUSTER = "postgresql.cnpg.io/cluster_v1.json"
OBJECT_STORE = "barmancloud.cnpg.io/objectstore_v1.json"
INT_OR_STRING: Schema = {"anyOf": [{"type": "integer"}, {"type": "string"}]}
QUANTITY: Schema = {"anyOf": [{"type": "number"}, {"type": "string"}]}
# The OpenAPI says string of what the API server reads from a number too.
LOOSE = {
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": INT_OR_STRING,
    "io.k8s.apimachinery.pkg.api.resource.Quantity": QUANTITY,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Module:
    """A Go module, and where in it CRDs lie; without that it is Kubernetes, with its OpenAPI."""

    path: str
    version: str
    crds: str | None = None

    @property
    def folder(self) -> Path:
        """Where its schemas are, once they are made."""
        # With this file's sum: whoever changes how schemas are made gets new ones.
        made_by = f"{zlib.crc32(Path(__file__).read_bytes()):08x}"
        return FOLDER / "schemas" / made_by / f"{self.path.replace('/', '_')}@{self.version}"


OLDEST = Module(path="k8s.io/kubernetes", version="v1.34.4")  # what the chart's kubeVersion promises
NEWEST = Module(path="k8s.io/kubernetes", version="v1.36.3")
OPERATORS = (
    Module(path="sigs.k8s.io/gateway-api", version="v1.5.1", crds="config/crd/standard"),
    Module(path="github.com/cloudnative-pg/cloudnative-pg", version="v1.30.0", crds="config/crd/bases"),
    Module(path="github.com/external-secrets/external-secrets", version="v1.3.2", crds="config/crds/bases"),
    Module(
        path="github.com/prometheus-operator/prometheus-operator",
        version="v0.85.0",
        crds="example/prometheus-operator-crd",
    ),
    Module(path="github.com/kedacore/keda/v2", version="v2.21.0", crds="config/crd/bases"),
    Module(path="github.com/argoproj/argo-rollouts", version="v1.10.1", crds="manifests/crds"),
    Module(path="github.com/argoproj/argo-cd/v3", version="v3.3.9", crds="manifests/crds"),
)
MODULES = (OLDEST, NEWEST, *OPERATORS)


def locations(kubernetes: Module) -> list[str]:
    """Give kubeconform's words for one Kubernetes and all operators. Raises NotHere."""
    found = []
    for module in (kubernetes, *OPERATORS):
        if not module.folder.is_dir():
            raise NotHere(
                f"no schemas of {module.path} {module.version} in .tools: `make check-deploy` makes them"
            )
        found += ["-schema-location", f"{module.folder}/{TEMPLATE}"]
    return found


def make(module: Module) -> None:
    """Make a module's schemas. Raises NotHere without Go, NotInstalled where the module cannot be had."""
    if go() is None:
        raise NotHere(f"no schemas of {module.path} {module.version}, and no Go to fetch them with")
    fetched = json.loads(run_go("mod", "download", "-json", f"{module.path}@{module.version}"))
    source = Path(fetched["Dir"])
    schemas = _kubernetes(source) if module.crds is None else _of_crds(source / module.crds)
    # Renamed at the end: a folder that is there is complete.
    unfinished = module.folder.with_suffix(".part")
    shutil.rmtree(unfinished, ignore_errors=True)
    for name, schema in schemas:
        file = unfinished / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"$schema": DRAFT, **schema}))
    unfinished.rename(module.folder)


def strict(schema: Schema) -> Schema:
    """Give a schema that refuses fields it does not name, unless it says that it takes any."""
    if schema.get("x-kubernetes-int-or-string"):
        return INT_OR_STRING
    kept = {key: value for key, value in schema.items() if key != "description" and not key.startswith("x-")}
    if "properties" in kept:
        kept["properties"] = {name: strict(nested) for name, nested in kept["properties"].items()}
    if isinstance(kept.get("items"), dict):
        kept["items"] = strict(kept["items"])
    if isinstance(kept.get("additionalProperties"), dict):
        kept["additionalProperties"] = strict(kept["additionalProperties"])
    elif "properties" in kept and not schema.get("x-kubernetes-preserve-unknown-fields"):
        kept["additionalProperties"] = False
    if kept.pop("nullable", False) and "type" in kept:
        kept["type"] = [kept["type"], "null"]
    return kept


def _kubernetes(source: Path) -> Iterator[tuple[str, Schema]]:
    definitions: dict[str, Schema] = json.loads((source / "api/openapi-spec/swagger.json").read_text())[
        "definitions"
    ]
    stricter = {name: LOOSE.get(name) or strict(schema) for name, schema in definitions.items()}
    for name, schema in definitions.items():
        if "metadata" not in schema.get("properties", {}):
            continue  # no object of its own: a part, or the options of a request
        for identity in schema.get("x-kubernetes-group-version-kind", []):
            root = {**stricter[name], "definitions": _reachable(stricter[name], stricter)}
            yield _file(**identity), root


def _reachable(schema: Schema, definitions: Mapping[str, Schema]) -> dict[str, Schema]:
    found: dict[str, Schema] = {}
    pending = list(_references(schema))
    while pending:
        name = pending.pop()
        if name not in found:
            found[name] = definitions[name]
            pending += _references(definitions[name])
    return found


def _references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(reference := node.get("$ref"), str):
            yield reference.removeprefix("#/definitions/")
        for nested in node.values():
            yield from _references(nested)
    elif isinstance(node, list):
        for nested in node:
            yield from _references(nested)


def _of_crds(folder: Path) -> Iterator[tuple[str, Schema]]:
    files = sorted(folder.glob("*.yaml"))
    for crd in (document for file in files for document in parse(file.read_text())):
        if crd["kind"] != "CustomResourceDefinition":
            continue
        spec = crd["spec"]
        for version in spec["versions"]:
            if version["served"]:
                name = _file(group=spec["group"], version=version["name"], kind=spec["names"]["kind"])
                schema = strict(version["schema"]["openAPIV3Schema"])
                yield name, schema
                if name == CLUSTER:
                    yield OBJECT_STORE, _object_store(schema)


def _object_store(cluster: Schema) -> Schema:
    # The kind of the backup plugin, whose module not every proxy has: the type of its core is the Cluster's too.
    spec = cluster["properties"]["spec"]["properties"]
    sidecar = {"type": "object", "properties": {"resources": spec["resources"]}}
    store = {
        "configuration": spec["backup"]["properties"]["barmanObjectStore"],
        "retentionPolicy": spec["backup"]["properties"]["retentionPolicy"],
        "instanceSidecarConfiguration": sidecar,
    }
    fields = {
        **{name: {"type": "string"} for name in ("apiVersion", "kind")},
        "metadata": {"type": "object"},
        "spec": {
            "type": "object",
            "properties": store,
            "required": ["configuration"],
            "additionalProperties": False,
        },
    }
    return {
        "type": "object",
        "properties": fields,
        "required": ["metadata", "spec"],
        "additionalProperties": False,
    }


def _file(*, group: str, version: str, kind: str) -> str:
    # kubeconform's TEMPLATE: what has no group has its version there.
    return f"{group or version}/{kind.lower()}_{version}.json"
