"""The command: what is asked for by which words, and what is said where it cannot be had."""

from pathlib import Path

import pytest
import yaml

from tests.rollouts.__main__ import _options as options
from tests.rollouts.__main__ import main
from tests.rollouts.drill import plan, turns


def test_rollouts_are_updates_and_undos_in_turn() -> None:
    assert turns(3, misconfigure=False) == ["update", "undo", "update"]
    assert turns(2, misconfigure=True) == ["update", "undo", "misconfigure"]


def test_the_drill_forgives_no_request_and_does_not_retry() -> None:
    scenario = plan(["update", "undo"], rate=100)
    assert (scenario.load.retry, scenario.expect.errors_without_retry, scenario.expect.restarts) == (False, 0, 0)
    assert [fault.do for fault in sorted(scenario.faults, key=lambda fault: fault.at)] == ["update", "undo"]


def test_the_short_one_is_a_few_and_what_is_said_besides_holds() -> None:
    assert (options([]).times, options(["--short"]).times, options(["--short", "--times", "5"]).times) == (
        20,
        3,
        5,
    )
    assert (options([]).misconfigure, options(["--short"]).misconfigure) == (True, False)


def test_what_cannot_be_played_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    deployment = {
        "kind": "Deployment",
        "metadata": {"name": "collector"},
        "spec": {"strategy": {"type": "Recreate"}},
    }
    (tmp_path / "rendered.yaml").write_text(yaml.safe_dump(deployment))
    assert main(["--of", str(tmp_path / "rendered.yaml")]) == 2
    assert "Recreate" in capsys.readouterr().err
    assert main(["--of", str(tmp_path / "none.yaml")]) == 2


def test_a_cluster_that_does_not_answer_is_no_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    assert main(["--times", "1"]) == 2
    assert "skipped" in capsys.readouterr().out
