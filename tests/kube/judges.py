"""Judges: kubeconform on the schemas of .tools, and kube-score, as findings."""

import json
import re
from collections.abc import Iterator
from typing import Any

from tests.kube.findings import Finding
from tests.kube.schemas import OLDEST, Module, locations
from tests.kube.tools import run, tool

BEST = 10
ROLLOUT = re.compile(r"^( *)apiVersion: argoproj\.io/v1alpha1\n *kind: Rollout$", re.MULTILINE)


class JudgeError(Exception):
    """A judge did not judge; the message is what it said."""


def refused(text: str, kubernetes: Module) -> list[Finding]:
    """Give what an API server would refuse: unknown kinds and fields, wrong types, repeated keys."""
    words = ["-strict", "-output", "json", "-summary", *locations(kubernetes)]
    told = _json(run([tool("kubeconform"), *words], stdin=text).stdout)
    if told["summary"]["valid"] + told["summary"]["invalid"] + told["summary"]["errors"] == 0:
        raise JudgeError("kubeconform saw no manifest")
    return [
        Finding(check="schema", object=f"{each['kind']}/{each['name']}", says=_reason(each["msg"]))
        for each in told["resources"]
        if each["status"] not in ("statusValid", "statusEmpty")
    ]


def scored(text: str) -> list[Finding]:
    """Give what kube-score would have otherwise."""
    minor = ".".join(OLDEST.version.split(".")[:2])
    # Exceptions stand in one file, with their reasons, not in annotations.
    options = ("--output-format=json", "--disable-ignore-checks-annotations", f"--kubernetes-version={minor}")
    # A Rollout is a Deployment with another strategy, and it knows those.
    known = ROLLOUT.sub(r"\1apiVersion: apps/v1\n\1kind: Deployment", text)
    return list(_scores(_json(run([tool("kube-score"), "score", *options, "-"], stdin=known).stdout)))


def _scores(objects: list[dict[str, Any]]) -> Iterator[Finding]:
    for each in objects:
        kind, *_, name = each["object_name"].split("/")
        for check in each["checks"]:
            if check["skipped"] or check["grade"] == BEST:
                continue
            for comment in check["comments"] or [{"summary": check["check"]["comment"]}]:
                yield Finding(check=check["check"]["id"], object=f"{kind}/{name}", says=comment["summary"])


def _reason(message: str) -> str:
    # Without the path of the schema, which is long and of this machine.
    return message.rpartition(".json#' - ")[2]


def _json(told: str) -> Any:
    try:
        return json.loads(told)
    except json.JSONDecodeError as error:
        raise JudgeError(re.sub(r"\s+", " ", told)[:500]) from error
