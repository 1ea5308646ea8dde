"""Rendered: what Kustomize makes of deploy/k8s, and Helm of the chart, as values."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.kube.tools import ROOT, run, tool

K8S = ROOT / "deploy/k8s"
CHART = ROOT / "deploy/helm/collector"

Manifest = dict[str, Any]


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Safe YAML, and fast; a plain `=` is a string, as it is for Go's readers."""


Loader.add_constructor("tag:yaml.org,2002:value", Loader.construct_yaml_str)


class RenderError(Exception):
    """Nothing was rendered; the message is what the tool said."""


def kustomization(path: Path | str) -> list[Manifest]:
    """Build a folder with a kustomization.yaml, below deploy/k8s if relative. Raises RenderError, NotHere."""
    return parse(kustomization_text(path))


def kustomization_text(path: Path | str) -> str:
    """Give the same as YAML."""
    return _told([tool("kustomize"), "build", K8S / path])


def chart(
    *values: Path | str,
    set: Mapping[str, Any] | None = None,  # noqa: A002 (Helm's word for it)
    namespace: str = "collector",
    release: str = "collector",
    options: Iterable[str] = (),
) -> list[Manifest]:
    """Render the chart as `helm template` does, hooks and tests included. Raises RenderError, NotHere.

    `values` are files, the chart's own if relative; `set` has dotted names, whose values may be of any JSON type.
    """
    return parse(chart_text(*values, set=set, namespace=namespace, release=release, options=options))


def chart_text(
    *values: Path | str,
    set: Mapping[str, Any] | None = None,  # noqa: A002
    namespace: str = "collector",
    release: str = "collector",
    options: Iterable[str] = (),
) -> str:
    """Give the same as YAML."""
    files = [f"--values={CHART / file}" for file in values]
    named = [f"--set-json={name}={json.dumps(value)}" for name, value in (set or {}).items()]
    return _told([tool("helm"), "template", release, CHART, f"--namespace={namespace}", *files, *named, *options])


def parse(text: str) -> list[Manifest]:
    """Read a stream of YAML documents; empty ones are left out."""
    return [manifest for manifest in yaml.load_all(text, Loader=Loader) if manifest]


def having(manifests: Iterable[Manifest], kind: str, name: str | None = None) -> list[Manifest]:
    """Give those of a kind, and of a name if one is given."""
    return [
        manifest
        for manifest in manifests
        if manifest["kind"] == kind and name in (None, manifest["metadata"].get("name"))
    ]


def one(manifests: Iterable[Manifest], kind: str, name: str) -> Manifest:
    """Give the one of a kind and name. Raises LookupError, which tells what there is."""
    manifests = list(manifests)
    found = having(manifests, kind, name)
    if len(found) != 1:
        there = ", ".join(f"{each['kind']} {each['metadata'].get('name')}" for each in manifests)
        raise LookupError(f"{len(found)} times {kind} {name} among {there}")
    return found[0]


def _told(command: list[str | Path]) -> str:
    done = run(command)
    if done.returncode:
        raise RenderError((done.stderr or done.stdout).strip())
    return done.stdout
