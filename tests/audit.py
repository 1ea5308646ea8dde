"""Audit: whether what is pinned, and what the pages bring, has known vulnerabilities. pip-audit, OSV.

Exit code 0: none is known. 1: some are. 2: nothing is known, since who knows them does not answer.
"""

import json
import re
import shutil
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

ROOT = Path(__file__).parents[1]
PIP_AUDIT = "2.10.1"
LOCK = ROOT / "requirements-dev.txt"  # it holds all of requirements.txt, at the same versions
OSV = "https://api.osv.dev/v1/query"
BROUGHT = ROOT / "app/page/docs/README.md"  # names the npm package and its version
ANSWER_SECONDS = 20.0
ALL_SECONDS = 600.0


Ways = Mapping[str, Callable[[], "Found"]]


class NoAnswer(Exception):
    """Whether there are vulnerabilities could not be found out; the message says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What was looked at, and what is known against it, a line each."""

    packages: int
    known: Sequence[str]


def read(report: Mapping[str, Any]) -> Found:
    """What pip-audit says in JSON. Raises NoAnswer where it has not looked at all of them."""
    packages: list[dict[str, Any]] = report["dependencies"]
    skipped = [one["name"] for one in packages if "skip_reason" in one]
    if skipped or not packages:
        raise NoAnswer(f"{len(skipped)} of {len(packages)} packages were not looked at: {', '.join(skipped[:3])}")
    return Found(packages=len(packages), known=[line for one in packages for line in _lines(one)])


def _lines(package: Mapping[str, Any]) -> list[str]:
    name = f"{package['name']} {package['version']}"
    return [
        f"{name}: {one['id']}, mended in {', '.join(one['fix_versions']) or 'no version yet'}"
        for one in package["vulns"]
    ]


def python_packages(service: str, words: Sequence[str]) -> Found:
    """What a service knows about the lock. Raises NoAnswer."""
    options = ["--disable-pip", "--require-hashes", "--format", "json", "--progress-spinner", "off"]
    asked = [*_pip_audit(), *options, "--vulnerability-service", service, "--requirement", str(LOCK), *words]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, timeout=ALL_SECONDS, check=False)
        return read(json.loads(done.stdout))
    except ValueError:
        last = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        raise NoAnswer(last[0][:300]) from None
    except subprocess.TimeoutExpired:
        raise NoAnswer(f"not within {ALL_SECONDS:.0f} s") from None


def npm_package(url: str) -> Found:
    """What OSV knows about the one that the docs are shown with. Raises NoAnswer."""
    match = re.match(r"(\S+) (\d\S+) ", BROUGHT.read_text())
    assert match, f"{BROUGHT} begins with the package and its version"
    name, version = match.groups()
    question = json.dumps({"package": {"name": name, "ecosystem": "npm"}, "version": version}).encode()
    try:
        with urlopen(Request(url, question), timeout=ANSWER_SECONDS) as answer:
            known = json.load(answer).get("vulns", [])
    except (OSError, ValueError) as error:
        raise NoAnswer(str(error)) from None
    return Found(packages=1, known=[f"{name} {version}: {one['id']}" for one in known])


def _pip_audit() -> list[str]:
    """How to run it: by uv where that is there, else from a folder of its own."""
    if shutil.which("uvx"):
        return ["uvx", f"pip-audit@{PIP_AUDIT}"]
    home = ROOT / ".tools" / f"pip-audit-{PIP_AUDIT}"
    program = home / "bin" / "pip-audit"
    if not program.exists():
        install = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", f"pip-audit=={PIP_AUDIT}"]
        for step in ([sys.executable, "-m", "venv", "--clear", str(home)], install):
            if subprocess.run(step, check=False).returncode:
                raise NoAnswer("pip-audit could not be installed")
    return [str(program)]


def audit(url: str, words: Sequence[str]) -> tuple[list[Found], list[str]]:
    """What was found; and why, for what nobody has answered."""
    found: list[Found] = []
    silent: list[str] = []
    python: Ways = {
        "by OSV": lambda: python_packages("osv", ("--osv-url", url, *words)),
        "by PyPI": lambda: python_packages("pypi", words),
    }
    npm: Ways = {"by OSV": lambda: npm_package(url)}
    for of, ways in (("the Python packages", python), ("the npm package", npm)):
        one, reasons = _first(ways)
        found += [one] if one else []
        silent += [] if one else [f"{of}, {reason}" for reason in reasons]
    return found, silent


def _first(ways: Ways) -> tuple[Found | None, list[str]]:
    """What the first says that answers; else why none does."""
    reasons = []
    for way, ask in ways.items():
        try:
            return ask(), []
        except NoAnswer as reason:
            reasons.append(f"{way}: {reason}")
    return None, reasons


def main(words: Sequence[str]) -> int:
    """Tell what is known; gives the exit code."""
    parser = ArgumentParser(prog="make audit", description=__doc__, epilog="Other options go to pip-audit.")
    parser.add_argument("--osv-url", default=OSV, help=f"where OSV, or a mirror of it, answers ({OSV})")
    asked, others = parser.parse_known_args(words)
    found, silent = audit(asked.osv_url, others)
    known = [line for one in found for line in one.known]
    for line in known:
        print(line)
    for line in silent:
        print(f"not known: {line}", file=sys.stderr)
    print(f"{sum(one.packages for one in found)} packages looked at, {len(known)} known vulnerabilities")
    if known:
        return 1
    if silent:
        print("This is no finding: nobody who knows of vulnerabilities has answered. Try again.", file=sys.stderr)
    return 2 if silent else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
