"""wrk: the load, one thread of it, and what it tells at the end."""

import json
import re
import secrets
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.binaries import NotToBeHad

SCRIPT = Path(__file__).with_name("load.lua")
GRACE = 30.0  # seconds past the load's own end


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What wrk measured. Times in ms; `bad`: answers of 400 and above, and connections that broke."""

    requests: int
    seconds: float
    p50: float
    p99: float
    bad: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What is sent: `body` is a file, whose MARKERs each request fills with an identity of its own."""

    method: str = "GET"
    path: str = "/events?limit=50"
    body: Path | None = None
    headers: Mapping[str, str]


def binary() -> str:
    """The path of wrk. Raises NotToBeHad."""
    if (path := shutil.which("wrk")) is None:
        raise NotToBeHad("wrk is not on PATH; on Debian and Ubuntu: apt install wrk, on macOS: brew install wrk")
    return path


def version() -> str:
    """Like "4.1.0"."""
    done = subprocess.run([binary(), "-v"], capture_output=True, text=True, check=False)
    found = re.search(r"\d+\.\d+\.\d+", done.stdout)
    return found[0] if found else "unknown"


def run(url: str, request: Request, *, connections: int, seconds: int) -> Told:
    """Load `url` for whole seconds. Raises RuntimeError with what wrk wrote."""
    options = ["-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", str(SCRIPT)]
    headers = [word for name, value in request.headers.items() for word in ("-H", f"{name}: {value}")]
    filled = [] if request.body is None else [str(request.body), secrets.token_hex(6)]
    done = subprocess.run(
        [binary(), *options, *headers, f"{url}{request.path}", "--", request.method, *filled],
        capture_output=True,
        text=True,
        timeout=seconds + GRACE,
        check=False,
    )
    return told(done.stdout, done.stderr)


def told(output: str, errors: str = "") -> Told:
    """Read the line that load.lua writes. Raises RuntimeError where there is none."""
    line = next((line for line in reversed(output.splitlines()) if line.startswith("{")), None)
    if line is None:
        raise RuntimeError(f"wrk told nothing:\n{output}{errors}")
    found = json.loads(line)
    return Told(
        requests=found["requests"],
        seconds=found["microseconds"] / 1e6,
        p50=found["p50"] / 1e3,
        p99=found["p99"] / 1e3,
        bad=found["status"] + found["socket"],
    )
