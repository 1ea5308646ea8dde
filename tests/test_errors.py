"""Errors: every cause of failure is a problem document that tells what to do."""

import json

import msgspec
import pytest

from app import errors
from app.errors import Draining, Fault, Invalid, Overloaded, Problem, TooLarge, Unavailable, UnsupportedType
from app.ingest import MEDIA

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Problem)]
MEMBERS = ("type", "title", "status", "detail", "retryable")


def written(problem: Problem) -> dict[str, object]:
    document = json.loads(msgspec.json.encode(problem.document()))
    assert isinstance(document, dict)
    return document


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_problem_says_all_that_is_promised(kind: type[Problem]) -> None:
    document = written(kind())
    assert tuple(document) == MEMBERS
    assert document["title"] == document["detail"] == kind.title()
    assert str(document["title"]).endswith((".", "id"))
    assert kind().header_lines()["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_what_may_be_sent_again_says_when(kind: type[Problem]) -> None:
    assert kind.retryable == (kind.status in (408, 429, 503))
    assert ("Retry-After" in kind().header_lines()) == kind.retryable


def test_every_problem_has_a_type_of_its_own() -> None:
    assert len({kind.kind() for kind in KINDS}) == len(KINDS)
    assert TooLarge.kind() == "urn:problem:too-large"
    assert Invalid.kind() == "urn:problem:invalid"


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("Malformed", 400),
        ("BadParameter", 400),
        ("NotFound", 404),
        ("MethodNotAllowed", 405),
        ("NotAcceptable", 406),
        ("TooSlow", 408),
        ("Conflict", 409),
        ("CursorGone", 410),
        ("TooLarge", 413),
        ("UnsupportedType", 415),
        ("Invalid", 422),
        ("HeadersTooLarge", 431),
        ("Internal", 500),
        ("Unavailable", 503),
        ("Overloaded", 503),
        ("Draining", 503),
    ],
)
def test_the_statuses_are_those_of_the_contract(name: str, status: int) -> None:
    assert getattr(errors, name).status == status


def test_several_faults_are_listed_by_their_places() -> None:
    faults = [Fault(index=3, pointer="/source", detail="source is empty"), Fault(detail="odd")]
    assert written(Invalid("two are bad", errors=faults)) == {
        "type": "urn:problem:invalid",
        "title": Invalid.title(),
        "status": 422,
        "detail": "two are bad",
        "retryable": False,
        "errors": [{"detail": "source is empty", "index": 3, "pointer": "/source"}, {"detail": "odd"}],
    }


@pytest.mark.parametrize("kind", [Unavailable, Overloaded, Draining])
def test_a_write_that_was_not_acknowledged_says_what_is_certain(kind: type[Unavailable]) -> None:
    assert written(kind(outcome="not_kept"))["outcome"] == "not_kept"
    assert written(kind("away", outcome="unknown"))["outcome"] == "unknown"
    assert "outcome" not in written(kind())


def test_an_unsupported_type_says_what_is_supported() -> None:
    assert UnsupportedType().header_lines() == {
        "Content-Type": "application/problem+json",
        "Accept-Post": ", ".join(MEDIA),
        "Accept-Encoding": "gzip, zstd, identity",
    }
