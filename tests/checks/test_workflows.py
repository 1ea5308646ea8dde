"""No workflow holds a cluster's credentials, a secret, or a right that it does not need; each can be seen to."""

import os
import re

import pytest

from tests.checks.test_names import ROOT
from tests.checks.workflows import findings, reached, steps

FILES = {path.stem: path.read_text() for path in sorted((ROOT / ".github" / "workflows").iterdir())}
SCRIPTS = {path.name: path for path in sorted((ROOT / ".github" / "scripts").iterdir())}
SCRIPT = re.compile(r"\.github/scripts/(\S+)")

CHECKOUT = "actions/checkout@df4cb1c069e1874edd31b4311f1884172cec0e10 # v6.0.3"
WELL = f"""
on: {{push: {{branches: [main]}}}}
permissions: {{}}
concurrency: {{group: odd}}
jobs:
  one:
    runs-on: ubuntu-24.04
    timeout-minutes: 5
    permissions:
      contents: read
    steps:
      - uses: {CHECKOUT}
        with:
          persist-credentials: false
      - run: make test
"""
# What somebody could write in good faith, in the place of what, and the word for it.
SPOILED = {
    "a manifest": ("make test", "kubectl apply --filename deploy", "reaches for a cluster"),
    "a release by Helm": ("make test", "helm upgrade --install collector chart", "reaches for a cluster"),
    "a login to Argo CD": ("make test", "argocd login argocd.example", "reaches for a cluster"),
    "an apply": ("make test", "terraform -chdir=terraform/eks apply -auto-approve", "reaches for a cluster"),
    "its variable": ("make test", "make rollouts\n        env: {KUBECONFIG: there}", "reaches for a cluster"),
    "a secret": ("make test", "make test\n        env: {WORD: '${{ secrets.WORD }}'}", "holds a secret"),
    "rights for all": ("permissions: {}", "permissions: {contents: read}", "at the top"),
    "rights for one": ("contents: read", "contents: write", "may ['contents: write']"),
    "all rights": ("    permissions:\n      contents: read\n", "", "may ['anything: write']"),
    "a tag": (CHECKOUT, "actions/checkout@v6", "not pinned"),
    "no version": (" # v6.0.3", "", "not pinned"),
    "strangers' code": ("push: {branches: [main]}", "pull_request_target:", "runs on ['pull_request_target']"),
    "a title that is run": ("make test", "echo ${{ github.event.issue.title }}", "an expression in a script"),
    "a token that stays": ("persist-credentials: false", "fetch-depth: 0", "leaves its token"),
    "no end": ("    timeout-minutes: 5\n", "", "no timeout"),
    "no turn": ("concurrency: {group: odd}\n", "", "no concurrency"),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_workflow_is_sound(name: str) -> None:
    assert not findings(name, FILES[name])


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_of_a_workflow_reaches_for_no_cluster(name: str) -> None:
    assert not reached(SCRIPTS[name].read_text())


def test_a_sound_workflow_has_no_findings() -> None:
    assert not findings("odd", WELL)


@pytest.mark.parametrize("what", SPOILED)
def test_a_spoiled_workflow_is_noticed(what: str) -> None:
    before, after, word = SPOILED[what]
    assert before in WELL
    told = findings("odd", WELL.replace(before, after))
    assert len(told) == 1
    assert word in told[0]


def test_every_script_is_run_by_a_workflow_and_can_be() -> None:
    runs = [step["run"] for text in FILES.values() for step in steps(text) if "run" in step]
    assert {name for run in runs for name in SCRIPT.findall(run)} == SCRIPTS.keys()
    assert all(os.access(path, os.X_OK) for path in SCRIPTS.values())


def test_every_target_that_a_workflow_makes_is_there() -> None:
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    runs = " ".join(step.get("run", "") for text in FILES.values() for step in steps(text))
    made = set(re.findall(r"\bmake (?:--silent )?([a-z][a-z0-9-]*)", runs))
    assert made
    assert made <= targets
