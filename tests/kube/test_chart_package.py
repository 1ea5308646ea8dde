"""The chart as others get it: packaged, with its notes, and with a test that a real collector passes."""

import asyncio
import sys
import tarfile
from pathlib import Path

from tests.child import clean_environment
from tests.kube.charts import BLUE_GREEN, CNPG, EXISTING, REDIS, ROUTE, Values, rendered, settings
from tests.kube.rendered import CHART, one, parse
from tests.kube.tools import ROOT, run, tool
from tests.process import CollectorProcess

FILES = sorted(path.name for path in CHART.glob("values*.yaml"))


def helm(*words: str | Path) -> str:
    done = run([tool("helm"), *words])
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_package_has_what_the_links_lead_to_and_renders_the_same(tmp_path: Path) -> None:
    helm("package", CHART, "--destination", tmp_path)
    (package,) = tmp_path.iterdir()
    with tarfile.open(package) as archive:
        members = {member.name: member for member in archive.getmembers()}
    assert all(member.isreg() for member in members.values())
    linked = {
        "files/prometheus": ROOT / "deploy/prometheus",
        "files/dashboards": ROOT / "deploy/grafana/dashboards",
    }
    for link, folder in linked.items():
        theirs = {path.name for path in (ROOT / folder).iterdir() if not path.name.endswith("_test.yaml")}
        assert {name.rpartition("/")[2] for name in members if f"/{link}/" in name} == theirs
        assert (CHART / link).is_symlink()
    for file in FILES:
        words = ("template", "collector", "--values", CHART / file)
        assert parse(helm(*words, package)) == parse(helm(*words, CHART))


def notes(*sets: Values) -> str:
    words = [f"--set-json={name}={_json(value)}" for values in sets for name, value in values.items()]
    told = helm("install", "shop", CHART, "--namespace=there", "--dry-run=client", *words)
    return told.partition("NOTES:")[2]


def _json(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else f'"{value}"'


def test_notes_say_where_events_are_and_who_may_write() -> None:
    plain = notes()
    assert "SQLite" in plain
    assert "--namespace there port-forward service/shop-collector" in plain
    assert "helm test shop --namespace there" in plain
    assert "EVERYONE" not in plain
    assert "EVERYONE WHO REACHES IT MAY READ AND WRITE" in notes(ROUTE)


def test_notes_say_what_is_missing() -> None:
    assert "PostgreSQL at postgres.example.com" in notes(EXISTING)
    assert "answered 503" in notes(EXISTING)
    assert "answered 503" not in notes(CNPG, {"redis.mode": "statefulset"})
    assert "argo rollouts get rollout shop-collector" in notes(BLUE_GREEN)
    assert "argo rollouts" not in notes(EXISTING)
    assert "Nobody migrates" in notes(EXISTING, {"migrations.mode": "off"})
    assert "appendfsync always" in notes(REDIS, {"redis.existing.url": "redis://r:6379/0"})


async def test_helm_test_passes_against_a_collector_with_these_settings(tmp_path: Path) -> None:
    manifests = rendered({"test.seconds": 2})
    words = one(manifests, "Job", "collector-test")["spec"]["template"]["spec"]["containers"][0]["args"]
    with CollectorProcess(env={**settings(manifests), "SQLITE_PATH": str(tmp_path / "collector.db")}) as process:
        await process.wait_until_ready(timeout=30)
        here = [process.url if word.startswith("http://") else word for word in words]
        probe = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "app", *here),
            cwd=ROOT,
            env=clean_environment(),
            stdout=asyncio.subprocess.PIPE,
        )
        told, _ = await probe.communicate()
    assert probe.returncode == 0, told.decode()
