"""Source: where manifests come from: an overlay by Kustomize, the chart by Helm, or a file that is rendered."""

from pathlib import Path

from tests.kube.rendered import Manifest, chart, kustomization, parse
from tests.kube.tools import NotHere, install, tool

PRODUCTION = "overlays/production"


def manifests(source: str) -> list[Manifest]:
    """Of an overlay ("overlays/production"), of values of the chart ("values-production.yaml"), or of a file.

    A tool that is missing is built. Raises NotHere, RenderError, OSError.
    """
    if source.startswith("overlays/"):
        _made_sure_of("kustomize")
        return kustomization(source)
    if source.startswith("values"):
        _made_sure_of("helm")
        return chart(source)
    return parse(Path(source).read_text())


def _made_sure_of(name: str) -> None:
    try:
        tool(name)
    except NotHere:
        install(name)
