"""The chart as it is published: pushed to a registry, under the digest that is then signed."""

import hashlib
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.child import Child, clean_environment
from tests.kube.tools import ROOT, tool
from tests.ports import LOOPBACK, free_port

LOADED = ("Makefile", "pyproject.toml", "deploy/helm", "deploy/prometheus", "deploy/grafana")
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """Where it listens, as HOST:PORT."""
    port = free_port()
    child = Child(
        [tool("registry"), "-port", str(port)], log=tmp_path / "log", cwd=tmp_path, env=clean_environment()
    )
    try:
        child.wait_until(lambda: _answers(f"http://{LOOPBACK}:{port}/v2/"), timeout=60)
        yield f"{LOOPBACK}:{port}"
    finally:
        child.kill()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What `make chart-push` needs, so that it leaves nothing in the one that is worked in."""
    for name in LOADED:
        place = tmp_path / "checkout" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        source = ROOT / name
        shutil.copytree(source, place, symlinks=True) if source.is_dir() else shutil.copy(source, place)
    return tmp_path / "checkout"


def _answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False


def pushed(checkout: Path, registry: str) -> subprocess.CompletedProcess[str]:
    words = [f"CHARTS=oci://{registry}/charts", f"HELM={tool('helm')}", "ARGS=--plain-http"]
    return subprocess.run(
        ["make", "chart-push", *words],
        cwd=checkout,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_what_was_pushed_is_told_by_its_digest(checkout: Path, registry: str) -> None:
    done = pushed(checkout, registry)
    assert done.returncode == 0, done.stdout + done.stderr
    name, _, digest = (checkout / "dist/chart.txt").read_text().strip().partition("@")
    assert name == f"{registry}/charts/collector"
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", digest)
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    manifests = f"http://{registry}/v2/charts/collector/manifests/"
    by_tag, by_digest = (httpx.get(manifests + key, headers={"Accept": MANIFEST}) for key in (version, digest))
    assert by_tag.content == by_digest.content
    assert f"sha256:{hashlib.sha256(by_tag.content).hexdigest()}" == digest


def test_a_registry_that_is_not_there_fails_and_leaves_nothing_to_sign(checkout: Path) -> None:
    done = pushed(checkout, f"{LOOPBACK}:{free_port()}")
    assert done.returncode == 2
    assert "refused" in done.stdout + done.stderr
    assert not (checkout / "dist/chart.txt").exists()
