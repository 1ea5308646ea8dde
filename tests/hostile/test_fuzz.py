"""A small run of the fuzz target; `make fuzz` makes a large one."""

import pytest

from tests.hostile.fuzz import Figures, Target, Wrong, fuzz
from tests.http.conftest import Backend, Settings
from tests.http.serving import client_of, event, post, running

CASES = 300


def test_hostile_requests_do_no_harm(settings: Settings, backend: Backend) -> None:
    with running(settings) as process:
        figures = fuzz(process, backend, cases=CASES, number=1, tells=False)
    assert figures.cases == CASES
    assert {200, 201, 400, 404, 405, 422} <= figures.statuses.keys()
    assert figures.stored >= figures.accepted > 0


def test_an_event_that_nobody_acknowledged_is_noticed(settings: Settings, backend: Backend) -> None:
    with running(settings) as process:
        target = Target(process, Figures(backend))
        target.check_log()
        with client_of(process) as client:
            assert post(client, event("behind-its-back")).status_code == 201
        with pytest.raises(Wrong, match="1 events are stored, 0 were acknowledged"):
            target.check_log()
        target.figures.numbers.add(1)
        with pytest.raises(Wrong, match="are not stored"):
            target.check_log()
