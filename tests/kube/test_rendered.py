"""Rendering: what a tool says reaches whoever asked, and a tool of another version is not taken."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kube import tools
from tests.kube.rendered import RenderError, chart, kustomization, one

RESOURCE = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: plain\n"


def test_a_kustomization_is_rendered(tmp_path: Path) -> None:
    (tmp_path / "kustomization.yaml").write_text("resources: [plain.yaml]\nnamespace: somewhere\n")
    (tmp_path / "plain.yaml").write_text(RESOURCE)

    assert one(kustomization(tmp_path), "ConfigMap", "plain")["metadata"]["namespace"] == "somewhere"


def test_what_kustomize_refuses_is_told(tmp_path: Path) -> None:
    (tmp_path / "kustomization.yaml").write_text("resources: [absent.yaml]\n")

    with pytest.raises(RenderError, match=r"absent\.yaml"):
        kustomization(tmp_path)


def test_what_helm_refuses_is_told(tmp_path: Path) -> None:
    with pytest.raises(RenderError, match=r"absent\.yaml"):
        chart(tmp_path / "absent.yaml")


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on PATH, on a machine that has no tools yet."""
    monkeypatch.setattr(tools, "FOLDER", tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    tools.tool.cache_clear()
    yield tmp_path
    tools.tool.cache_clear()


def test_a_tool_of_another_version_is_not_taken(bare: Path) -> None:
    other = bare / "helm"
    other.write_text("#!/bin/sh\necho v4.3.10\n")
    other.chmod(0o755)

    with pytest.raises(tools.NotHere, match=r"no helm v4\.3\.1"):
        tools.tool("helm")
    other.write_text("#!/bin/sh\necho v4.3.1+gabcdef\n")
    assert tools.tool("helm") == other
