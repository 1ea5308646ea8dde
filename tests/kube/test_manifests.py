"""Every rendering is what a cluster takes, and what this project asks of it."""

from functools import cache

import pytest

from tests.kube.cases import names, rendered
from tests.kube.findings import Finding, exemptions, expect_none
from tests.kube.judges import refused, scored
from tests.kube.policy import broken
from tests.kube.rendered import parse
from tests.kube.schemas import NEWEST, OLDEST, Module


@pytest.mark.parametrize("kubernetes", [OLDEST, NEWEST], ids=lambda module: module.version)
@pytest.mark.parametrize("name", names(), ids=str)
def test_a_cluster_knows_every_field(name: str, kubernetes: Module) -> None:
    expect_none(name, refused(rendered(name), kubernetes))


@pytest.mark.parametrize("name", names(), ids=str)
def test_pods_are_restricted_and_keep_the_projects_rules(name: str) -> None:
    expect_none(name, ruled(name))


@pytest.mark.parametrize("name", names(), ids=str)
def test_the_linter_has_nothing_against_it(name: str) -> None:
    expect_none(name, linted(name))


def test_every_exception_is_needed() -> None:
    found = [(name, finding) for name in names() for finding in (*ruled(name), *linted(name))]
    assert not [made for made in exemptions() if not any(made.covers(finding, name) for name, finding in found)]


@cache
def ruled(name: str) -> list[Finding]:
    return broken(parse(rendered(name)))


@cache
def linted(name: str) -> list[Finding]:
    return scored(rendered(name))
