"""Tools: the programs that render and judge manifests, each at one version, which is written here only."""

import os
import re
import shutil
import subprocess
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".tools"
PATIENCE = 60.0  # seconds for what takes a tenth of one on a machine of its own
BUILD_PATIENCE = 900.0  # seconds; helm compiles for two minutes on two cores


class NotHere(Exception):
    """A tool is not on this machine; the message says which, and what would help."""


class NotInstalled(Exception):
    """Go is here and did not build a tool; the message is its last line."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tool:
    """A program: its package for `go install`, its version, and the words by which it tells that."""

    package: str
    version: str
    tell: tuple[str, ...] = ("version",)


TOOLS = {
    "helm": Tool(package="helm.sh/helm/v4/cmd/helm", version="v4.3.1"),
    "kustomize": Tool(package="sigs.k8s.io/kustomize/kustomize/v5", version="v5.8.2"),
    "kubeconform": Tool(package="github.com/yannh/kubeconform/cmd/kubeconform", version="v0.8.0", tell=("-v",)),
    "kube-score": Tool(package="github.com/zegl/kube-score/cmd/kube-score", version="v1.20.0"),
    # A registry in memory, for what is pushed.
    "registry": Tool(
        package="github.com/google/go-containerregistry/cmd/registry", version="v0.22.1", tell=("-h",)
    ),
}


@cache
def tool(name: str) -> Path:
    """Give the path of a tool of the pinned version. Raises NotHere."""
    return found(name, TOOLS[name], by="make check-deploy")


def found(name: str, wanted: Tool, *, by: str) -> Path:
    """Give the path of a tool of its version; `by` is the command that builds it. Raises NotHere."""
    for path in (_installed(name, wanted), _on_path(name, wanted)):
        if path is not None:
            return path
    raise NotHere(f"no {name} {wanted.version}, in .tools nor on PATH: `{by}` installs it by Go")


def go() -> Path | None:
    """Give the path of Go's command; None where there is none."""
    path = shutil.which("go")
    return Path(path) if path else None


def install(name: str) -> Path:
    """Build a tool by Go's command. Raises NotHere without Go, NotInstalled where that failed."""
    build(name, TOOLS[name])
    tool.cache_clear()
    return tool(name)


def build(name: str, wanted: Tool) -> None:
    """Build a tool into `.tools`. Raises NotHere without Go, NotInstalled where that failed."""
    if go() is None:
        raise NotHere(f"no {name} {wanted.version}, and no Go to build it with")
    env = {"GOBIN": str(_bin(name, wanted)), "CGO_ENABLED": "0"}
    run_go("install", f"{wanted.package}@{wanted.version}", env=env)


def run_go(*words: str, env: dict[str, str] | None = None) -> str:
    """Run Go's command, outside of any module; gives what it printed. Raises NotInstalled."""
    command = ["go", *words]
    FOLDER.mkdir(exist_ok=True)
    try:
        done = run(command, env=env, timeout=BUILD_PATIENCE)
    except subprocess.TimeoutExpired as error:
        raise NotInstalled(f"{' '.join(command)}: not done in {BUILD_PATIENCE:.0f} s") from error
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()[-1]
        raise NotInstalled(f"{' '.join(command)}: {last}")
    return done.stdout


def run(
    command: Sequence[str | Path],
    *,
    stdin: str | None = None,
    env: dict[str, str] | None = None,
    timeout: float = PATIENCE,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, in the repository's root, with the environment plus `env`."""
    environ = {**os.environ, **(env or {})}
    return subprocess.run(
        command, cwd=ROOT, input=stdin, env=environ, capture_output=True, text=True, timeout=timeout, check=False
    )


def program(source: Path) -> Path:
    """Give where the Go program of a folder is, once it is built: another source is another file."""
    made_of = b"".join(file.read_bytes() for file in sorted(source.iterdir()))
    return FOLDER / "bin" / f"{source.name}-{zlib.crc32(made_of):08x}" / source.name


def build_program(source: Path, *flags: str, called: Path | None = None) -> None:
    """Build the Go program of a folder to where it is looked for: `program(called)`, or that of the folder itself.

    Raises NotHere without Go, NotInstalled where that failed.
    """
    if go() is None:
        raise NotHere(f"no {(called or source).relative_to(ROOT)}, and no Go to build it with")
    made = str(program(called or source))
    run_go("-C", str(source), "build", *flags, "-o", made, ".", env={"CGO_ENABLED": "0"})


def _bin(name: str, wanted: Tool) -> Path:
    # The version is in the path: another pin is another file, and an old one is never taken for it.
    return FOLDER / "bin" / f"{name}-{wanted.version}"


def _installed(name: str, wanted: Tool) -> Path | None:
    path = _bin(name, wanted) / name
    return path if os.access(path, os.X_OK) else None


def _on_path(name: str, wanted: Tool) -> Path | None:
    path = shutil.which(name)
    if path is None:
        return None
    try:
        told = run([path, *wanted.tell]).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    same = re.search(rf"(?<![\d.]){re.escape(wanted.version.lstrip('v'))}(?![-.]?\w)", told)
    return Path(path) if same else None
