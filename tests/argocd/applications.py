"""Applications: from the root Application on, all that Argo CD would make of a checkout, and what each renders to.

What comes from others (their charts) is not rendered: it is not here.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.argocd.go_engine import engine
from tests.kube.rendered import Loader, Manifest, RenderError, having, parse
from tests.kube.tools import ROOT, run, tool

WAVE = "argocd.argoproj.io/sync-wave"
Source = Mapping[str, Any]


@dataclass(frozen=True)
class Checkout:
    """A tree of files with argocd/ in it, as Argo CD has fetched it."""

    path: Path = ROOT

    @property
    def root(self) -> Manifest:
        return dict(self.read("argocd/root.yaml"))

    @property
    def repo(self) -> str:
        return str(self.root["spec"]["source"]["repoURL"])

    def read(self, name: str) -> Any:
        return yaml.load((self.path / name).read_text(), Loader)


HERE = Checkout()


@cache
def hub(checkout: Checkout = HERE) -> list[Manifest]:
    """What the root Application renders to."""
    return rendered(checkout, checkout.root)


@cache
def clusters(checkout: Checkout = HERE) -> list[Manifest]:
    """An Application for each cluster, by its name."""
    (made_by,) = having(hub(checkout), "ApplicationSet")
    return generated(checkout, made_by)


@cache
def platform(cluster: str, checkout: Checkout = HERE) -> list[Manifest]:
    """What a cluster's Application renders to."""
    (application,) = having(clusters(checkout), "Application", f"cluster-{cluster}")
    return rendered(checkout, application)


def names(checkout: Checkout = HERE) -> list[str]:
    """Name the clusters, by their files."""
    return sorted(path.stem for path in (checkout.path / "argocd/clusters").iterdir())


@cache
def environments(cluster: str, checkout: Checkout = HERE) -> list[Manifest]:
    """An Application for each environment that runs on a cluster."""
    (made_by,) = having(platform(cluster, checkout), "ApplicationSet")
    return generated(checkout, made_by)


def all_manifests(checkout: Checkout = HERE) -> Iterator[tuple[str, list[Manifest]]]:
    """Everything that is ours, by the Application that brings it; the root Application itself first."""
    yield "what is applied by hand", [checkout.root]
    yield "root", hub(checkout)
    for name in names(checkout):
        yield f"cluster-{name}", platform(name, checkout)
        for application in (*having(platform(name, checkout), "Application"), *environments(name, checkout)):
            yield application["metadata"]["name"], rendered(checkout, application)


def generated(checkout: Checkout, made_by: Manifest) -> list[Manifest]:
    """Give the Applications of an ApplicationSet over files of git, its templates filled in by Go."""
    spec = made_by["spec"]
    files = [each["path"] for generator in spec["generators"] for each in generator["git"]["files"]]
    found = sorted({path for pattern in files for path in checkout.path.glob(pattern)})
    question = {
        "template": spec["template"],
        "options": spec["goTemplateOptions"],
        "parameters": [_parameters(path, checkout) for path in found],
    }
    return [{"apiVersion": made_by["apiVersion"], "kind": "Application", **each} for each in _filled(question)]


def _filled(question: Any) -> list[Manifest]:
    return list(engine("template", question))


def _parameters(file: Path, checkout: Checkout) -> dict[str, Any]:
    folder = file.parent.relative_to(checkout.path)
    path = {"path": str(folder), "basename": folder.name, "filename": file.name, "segments": list(folder.parts)}
    return {**(checkout.read(str(file.relative_to(checkout.path))) or {}), "path": path}


def sources(application: Manifest) -> list[Source]:
    spec = application["spec"]
    return list(spec["sources"]) if "sources" in spec else [spec["source"]]


def ours(checkout: Checkout, application: Manifest) -> list[Source]:
    """The sources with a folder of ours to render."""
    return [each for each in sources(application) if each["repoURL"] == checkout.repo and "path" in each]


def theirs(checkout: Checkout, application: Manifest) -> list[Source]:
    return [each for each in sources(application) if each["repoURL"] != checkout.repo]


def rendered(checkout: Checkout, application: Manifest) -> list[Manifest]:
    """Render what of it is ours, as Argo CD does, once for all who only read it. Raises RenderError, NotHere."""
    return _rendered(checkout, json.dumps(application))


@cache
def _rendered(checkout: Checkout, text: str) -> list[Manifest]:
    application = json.loads(text)
    return [one for source in ours(checkout, application) for one in _helm(checkout, application, source)]


def values_files(checkout: Checkout, source: Source) -> list[Path]:
    """Give the files of a source's values. Those of `$values` are ours; what may be missing is left out."""
    helm = source.get("helm") or {}
    found = []
    for name in helm.get("valueFiles", []):
        if name.startswith("$values/"):
            path = checkout.path / name.removeprefix("$values/")
        elif name.startswith("/"):
            path = checkout.path / name.removeprefix("/")
        else:
            path = checkout.path / source["path"] / name
        if path.exists() or not helm.get("ignoreMissingValueFiles"):
            found.append(path)
    return found


def _helm(checkout: Checkout, application: Manifest, source: Source) -> list[Manifest]:
    helm, spec = source.get("helm") or {}, application["spec"]
    release = helm.get("releaseName", application["metadata"]["name"])
    known = {
        "$ARGOCD_APP_SOURCE_REPO_URL": source["repoURL"],
        "$ARGOCD_APP_SOURCE_TARGET_REVISION": source["targetRevision"],
    }
    given = {each["name"]: known.get(each["value"], each["value"]) for each in helm.get("parameters", [])}
    files = [f"--values={path}" for path in (*values_files(checkout, source), "-")]
    sets = [f"--set-json={name}={json.dumps(value)}" for name, value in given.items()]
    command = [
        "template",
        release,
        checkout.path / source["path"],
        "--namespace",
        spec["destination"]["namespace"],
    ]
    done = run([tool("helm"), *command, *files, *sets], stdin=json.dumps(helm.get("valuesObject") or {}))
    if done.returncode:
        raise RenderError(done.stderr.strip())
    return parse(done.stdout)
