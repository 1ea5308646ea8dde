"""deploy/compose/rollout: forth, back, and with images that are no good, all under one load."""

import pytest

from tests.compose.rolled import Images, Story
from tests.compose.stack import Stack

pytestmark = pytest.mark.timeout(1500)


def all_run(image: str) -> Images:
    return dict.fromkeys(("collector", "collector-2", "collector-3", "worker"), (image, "running"))


def test_no_request_fails_and_nothing_is_lost(rolled: Story) -> None:
    print({key: rolled.verdict[key] for key in ("requests", "availability", "latency_ms")})
    assert rolled.verdict["requests"]["errors_without_retry"] == 0
    assert (rolled.verdict["verdict"], rolled.verdict["reasons"]) == ("clean", [])


def test_a_new_image_is_everywhere_and_remembered(rolled: Story, stack: Stack) -> None:
    step = rolled.steps["new"]
    print(step.said)
    assert (step.code, step.images) == (0, all_run(rolled.names["new"])), step.said
    assert f"back: deploy/compose/rollout {stack.image}" in step.said


@pytest.mark.parametrize("what", ["ends", "is not ready"])
def test_one_that_cannot_become_ready_replaces_nothing(rolled: Story, what: str) -> None:
    step = rolled.steps[what]
    assert (step.code, step.images) == (1, all_run(rolled.names["new"])), step.said
    assert "nothing was replaced" in step.said


def test_one_that_is_not_healthy_in_its_place_stops_there(rolled: Story) -> None:
    name = "is well as a candidate only"
    step = rolled.steps[name]
    others = all_run(rolled.names["new"])
    assert (step.code, step.images) == (1, others | {"collector": (rolled.names[name], "exited")}), step.said
    assert f"the others serve on; back: deploy/compose/rollout {rolled.names['new']}" in step.said


def test_the_way_back_is_the_same(rolled: Story, stack: Stack) -> None:
    step = rolled.steps["back"]
    assert (step.code, step.images) == (0, all_run(stack.image)), step.said
    assert stack.envfile.read_text() == f"COLLECTOR_IMAGE={stack.image}\n"
    assert "candidate" not in stack.states()
