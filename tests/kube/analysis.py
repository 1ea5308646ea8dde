"""Analysis: what the chart's AnalysisTemplate makes of metrics, by promtool and by the engine of its conditions.

`tests/kube/conditions` is a Go program with the very library that Argo Rollouts evaluates conditions with.
"""

import json
import math
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from app.metrics import Metrics
from tests.kube.rendered import Manifest, having
from tests.kube.tools import NotHere, build_program, program, run

SOURCE = Path(__file__).with_name("conditions")
SCRAPE = 15  # seconds between two scrapes, as the chart's monitors have it
Labels = Mapping[str, str]
Series = Mapping[str, str]  # the values by the series, as promtool writes both


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """A metric of the template that asks Prometheus."""

    name: str
    query: str
    success: str
    failure: str

    def of(self, version: str) -> str:
        """The query for the pods of one version."""
        asked = self.query.replace("{{args.version}}", version)
        assert "{{" not in asked, "an argument that nobody gives"
        return asked


def measured(manifests: Iterable[Manifest]) -> dict[str, Measured]:
    """Find what a rendering's one AnalysisTemplate asks of Prometheus, by name."""
    (template,) = having(manifests, "AnalysisTemplate")
    return {
        metric["name"]: Measured(
            name=metric["name"],
            query=metric["provider"]["prometheus"]["query"],
            success=metric["successCondition"],
            failure=metric["failureCondition"],
        )
        for metric in template["spec"]["metrics"]
        if "prometheus" in metric["provider"]
    }


def series(metrics: Metrics, target: Labels, values: str) -> Series:
    """Give what a process counts as series of a target. In `values` each N stands for how far it has come."""
    families = text_string_to_metric_families(metrics.text().decode())
    found = {}
    for family in (each for each in families if each.type in ("counter", "histogram")):
        for sample in family.samples:
            labels = {**sample.labels, **target}
            name = f"{sample.name}{{{','.join(f'{key}={json.dumps(value)}' for key, value in labels.items())}}}"
            found[name] = values.replace("N", f"{sample.value:g}")
    return found


def evaluate(expressions: Iterable[str], inputs: Series, *, at: str, folder: Path) -> None:
    """Let promtool evaluate these, each of which has to be 1. Raises AssertionError with what it said."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool on PATH; it comes with Prometheus")
    test = {
        "interval": f"{SCRAPE}s",
        "input_series": [{"series": name, "values": values} for name, values in inputs.items()],
        "promql_expr_test": [
            {"expr": expression, "eval_time": at, "exp_samples": [{"labels": "{}", "value": 1}]}
            for expression in expressions
        ],
    }
    file = folder / "test.yaml"
    file.write_text(yaml.safe_dump({"tests": [test]}))
    done = run([promtool, "test", "rules", file])
    assert done.returncode == 0, done.stdout + done.stderr


def is_value(query: str, value: float | None) -> str:
    """Give an expression that is 1 if the query's only answer is this value; None: if it has no answer."""
    if value is None:
        return f"absent({query})"
    if math.isnan(value):
        return f"count(({query}) != ({query})) == bool 1"
    return f"abs(({query}) - {value}) < bool 1e-9"


def phases(asked: Sequence[tuple[Measured, float | None]]) -> list[str]:
    """Judge answers to metrics as Argo Rollouts does. Raises NotHere."""
    if not _program().is_file():
        raise NotHere("no program for conditions in .tools: `make check-deploy` builds it by Go")
    measurements = [
        {
            "result": [] if value is None else [str(value)],
            "success": metric.success,
            "failure": metric.failure,
        }
        for metric, value in asked
    ]
    done = run([_program()], stdin=json.dumps(measurements))
    assert done.returncode == 0, done.stderr
    told: list[Any] = json.loads(done.stdout)
    return told


def is_built() -> bool:
    """Whether the program for conditions is there."""
    return _program().is_file()


def build() -> None:
    """Build it. Raises NotHere, NotInstalled."""
    build_program(SOURCE)


def _program() -> Path:
    return program(SOURCE)
