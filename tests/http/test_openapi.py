"""The description at /openapi.json is true: what it allows, and what it does not, gets an answer it describes."""

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import APIOperation, BaseSchema, Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.config import GenerationConfig
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.http.serving import TIMEOUT
from tests.process import CollectorProcess

Operation = APIOperation[Any, Any, Any, Any]
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = 15  # an operation and mode, besides those at the bounds of its description
LONGEST_URL = 2**16 - 1  # that the HTTP parser takes
STREAM = "/events/stream"  # its answer has no end
explored = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def api(collector: CollectorProcess) -> BaseSchema:
    return schemathesis.openapi.from_url(f"{collector.url}/openapi.json").exclude(path=STREAM)


def operations(api: BaseSchema) -> Iterator[Operation]:
    for found in api.get_all_operations():
        assert isinstance(found, Ok), found
        yield found.ok()


@pytest.mark.parametrize("mode", GenerationMode, ids=lambda mode: mode.value)
def test_every_answer_is_one_that_is_described(
    api: BaseSchema, mode: GenerationMode, subtests: pytest.Subtests
) -> None:
    for operation in operations(api):
        with subtests.test(operation.label):
            explore(operation, mode)
    assert len(list(operations(api))) >= 9


def explore(operation: Operation, mode: GenerationMode) -> None:
    # The bounds first, then by chance.
    bounds = operation.schema.iter_coverage_cases(
        operation, generation_modes=[mode], generation_config=GenerationConfig(modes=[mode])
    )
    for case in bounds:
        if case.method == operation.method.upper():
            validate(case)
    # What takes nothing has nothing that could be wrong.
    with suppress(Unsatisfiable):
        explored(given(case=operation.as_strategy(mode))(validate))()


def validate(case: Case[Any]) -> None:
    answer = case.call(timeout=TIMEOUT)
    if len(answer.request.url or "") > LONGEST_URL and answer.status_code == 400:
        return  # the HTTP parser's own answer
    case.validate_response(answer, checks=CHECKS)


@schemathesis.serializer("application/x-ndjson")
def as_it_is(_: schemathesis.SerializationContext, value: object) -> bytes:
    return value.encode(errors="replace") if isinstance(value, str) else json.dumps(value).encode()
