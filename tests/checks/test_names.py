"""Name, version, repository and image stand in pyproject.toml and nowhere else: a fork changes them there."""

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
NAME = PYPROJECT["project"]["name"]

# The scheme is left out, so that `git@…` and `http://…` are found too.
ONCE = {
    "version": PYPROJECT["project"]["version"],
    "repository": PYPROJECT["project"]["urls"]["Repository"].partition("://")[2],
    "image": PYPROJECT["tool"]["collector"]["image"],
}

# The locks are full of other projects' versions; test_lock.py holds them to versions and hashes.
MAY_SAY = {
    "pyproject.toml": {"version", "repository", "image"},
    "CHANGELOG.md": {"version"},
    # Held to it by tests/kube/test_overlays.py.
    "deploy/k8s/base/kustomization.yaml": {"version", "image"},
    "deploy/k8s/overlays/blue-green/slots.yaml": {"version", "image"},
    "deploy/helm/collector/Chart.yaml": {"version"},  # tests/kube holds them to pyproject.toml
    "deploy/helm/collector/values.yaml": {"image"},
    "deploy/helm/collector/README.md": {"image"},
    "argocd/root.yaml": {"repository"},  # tests/argocd holds it to pyproject.toml
    # What they run, which promote writes.
    "argocd/envs/staging.yaml": {"version"},
    "argocd/envs/production.yaml": {"version"},
    "tests/terraform/standin/go.sum": {"version"},
    "requirements.txt": {"version"},
    "requirements-dev.txt": {"version"},
}
NOT_OURS = {".git", ".hypothesis", ".tools", ".venv", "__pycache__", "data", "dist"}


def texts() -> dict[str, str]:
    """Return every tracked or new file that is text; in a tree without git, every file."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    names = listed.stdout.split("\0") if listed.returncode == 0 else [str(path) for path in walk()]
    return {name: text for name in names if (text := read(ROOT / name)) is not None}


def walk() -> list[Path]:
    paths = [path.relative_to(ROOT) for path in ROOT.rglob("*")]
    return [path for path in paths if not any(part in NOT_OURS or part.endswith("_cache") for part in path.parts)]


def read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8") if path.is_file() else None
    except UnicodeDecodeError:
        return None


@pytest.mark.parametrize("what", ONCE)
def test_it_stands_once(what: str) -> None:
    literal = re.compile(rf"(?<![\d.]){re.escape(ONCE[what])}(?![\w-]|\.\d)")
    places = [
        f"{name}:{number}"
        for name, text in texts().items()
        if what not in MAY_SAY.get(name, set())
        for number, line in enumerate(text.splitlines(), start=1)
        if literal.search(line)
    ]
    assert not places, (
        f"The {what}, {ONCE[what]}, belongs in pyproject.toml; the code has it from app.about: {places}"
    )


def test_the_code_takes_its_name_from_about() -> None:
    places = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sorted((ROOT / "app").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and node.value == NAME
    ]
    assert not places, f"Write app.about.NAME for {NAME!r}: {places}"
