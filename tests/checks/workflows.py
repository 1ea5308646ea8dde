"""Workflows: what has to hold of each file of .github/workflows, beside what actionlint and zizmor look at."""

import re
from collections.abc import Iterator
from typing import Any

import yaml

# What a job may have beyond `contents: read`; whoever gives it more says so here too.
MORE = {
    ("release", "image"): {"packages: write", "id-token: write"},
    ("release", "chart"): {"packages: write", "id-token: write"},
    ("release", "staging"): {"contents: write", "pull-requests: write", "actions: write"},
    ("promote", "production"): {"contents: write", "pull-requests: write", "actions: write"},
    ("plan", "eks"): {"id-token: write"},
}
EVENTS = {
    "push",
    "pull_request",
    "schedule",
    "workflow_call",
    "workflow_dispatch",
}  # whose code is ours, or has no rights
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")

# By which a cluster is reached or changed, in a job or in a script that one runs.
REACHES = re.compile(
    r"kube-?config|\bkubectl\b|\bKUBE\w*|\bk3s\b|helm\s+(?:upgrade|install|uninstall|rollback)|argocd\s+(?:login|app|cluster)"
    r"|eks\s+(?:update-kubeconfig|get-token)|terraform\b[^\n]*\s(?:apply|destroy|import)\b|serviceaccount",
    re.IGNORECASE,
)
COMMENT = re.compile(r"(?:^|\s)#.*$", re.MULTILINE)

Node = dict[Any, Any]


def findings(name: str, text: str) -> list[str]:
    """What is wrong with a workflow, in words; nothing where all is well."""
    found = yaml.safe_load(text)
    return [*_of_all(found, text), *(f"{job}: {what}" for job, what in _of_jobs(name, found))]


def reached(text: str) -> list[str]:
    """The words of a workflow or script by which it reaches for a cluster."""
    return REACHES.findall(COMMENT.sub("", text))


def steps(text: str) -> Iterator[Node]:
    """Every step of every job."""
    for job in yaml.safe_load(text)["jobs"].values():
        yield from job.get("steps", ())


def _of_all(found: Node, text: str) -> Iterator[str]:
    if found.get("permissions") != {}:
        yield "permissions at the top are not {}"
    if "concurrency" not in found:
        yield "no concurrency"
    if odd := set(found[True]) - EVENTS:  # YAML reads `on` as true
        yield f"runs on {sorted(odd)}"
    if words := reached(text):
        yield f"reaches for a cluster: {words}"
    if re.search(r"\$\{\{[^}]*\bsecrets\b", text):
        yield "holds a secret"
    for used in re.findall(r"uses: (.*)", text):
        if not used.startswith("./") and not PINNED.fullmatch(used):
            yield f"not pinned: {used}"


def _of_jobs(name: str, found: Node) -> Iterator[tuple[str, str]]:
    for job, said in found["jobs"].items():
        rights = {f"{what}: {how}" for what, how in said.get("permissions", {"anything": "write"}).items()}
        if more := rights - {"contents: read"} - MORE.get((name, job), set()):
            yield job, f"may {sorted(more)}"
        if "uses" not in said and "timeout-minutes" not in said:
            yield job, "no timeout"
        for step in said.get("steps", ()):
            yield from ((job, what) for what in _of_step(step))


def _of_step(step: Node) -> Iterator[str]:
    # What an expression brings into a script is run, whoever has written it.
    if "${{" in step.get("run", ""):
        yield f"an expression in a script: {step['run']}"
    if "checkout@" in step.get("uses", "") and step.get("with", {}).get("persist-credentials") is not False:
        yield "leaves its token in the checkout"
