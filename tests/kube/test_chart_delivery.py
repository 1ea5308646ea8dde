"""The chart under Argo Rollouts: a canary by weights, blue-green by a selector, each after the ledger probe."""

import copy
from typing import Any, cast

import pytest

from tests.kube.charts import BLUE_GREEN, BY_KEDA, CANARY, EXISTING, SCALED, Values, names, rendered
from tests.kube.rendered import Manifest, having, one

STRATEGIES = pytest.mark.parametrize("strategy", [CANARY, BLUE_GREEN], ids=["canary", "blueGreen"])


def rollout(*sets: Values, **which: str) -> dict[str, Any]:
    return cast("dict[str, Any]", one(rendered(*sets, **which), "Rollout", "collector")["spec"])


def ledger(*sets: Values, **which: str) -> dict[str, Any]:
    """The Job of the analysis."""
    (template,) = having(rendered(*sets, **which), "AnalysisTemplate")
    metrics = {metric["name"]: metric for metric in template["spec"]["metrics"]}
    return cast("dict[str, Any]", metrics["ledger"]["provider"]["job"])


@STRATEGIES
def test_only_how_a_version_comes_in_is_another(strategy: Values) -> None:
    plain = one(rendered(EXISTING), "Deployment", "collector")["spec"]
    spec = copy.deepcopy(rollout(strategy))
    constraints = spec["template"]["spec"]["topologySpreadConstraints"]
    hashed = [each["matchLabelKeys"] for each in constraints]
    assert hashed == [["rollouts-pod-template-hash"]] * 2, "or those that are replaced would be spread over"
    for each in constraints:
        each["matchLabelKeys"] = ["pod-template-hash"]
    assert {**spec, "strategy": plain["strategy"]} == {
        **plain,
        "progressDeadlineAbort": True,
        "rollbackWindow": {"revisions": 2},
    }
    assert one(rendered(strategy), "Deployment", "collector-worker") == one(
        rendered(EXISTING), "Deployment", "collector-worker"
    )
    assert not having(rendered(strategy), "Deployment", "collector")


def test_a_canary_goes_by_weights_and_is_analysed_after_each() -> None:
    canary = rollout(CANARY, namespace="shop")["strategy"]["canary"]
    weights = [step["setWeight"] for step in canary["steps"][::2]]
    assert weights == [5, 25, 50, 100]
    (analysis,) = {str(step["analysis"]) for step in canary["steps"][1::2]}
    assert len(canary["steps"]) == 8
    (template,) = having(rendered(CANARY, namespace="shop"), "AnalysisTemplate")
    step = canary["steps"][1]["analysis"]
    assert str(step) == analysis
    assert [each["templateName"] for each in step["templates"]] == [template["metadata"]["name"]]
    assert [each["name"] for each in step["args"]] == [each["name"] for each in template["spec"]["args"]]
    assert step["args"][0]["valueFrom"] == {"podTemplateHashValue": "Latest"}
    assert rollout(CANARY, {"delivery.canary.weights": [10]})["strategy"]["canary"]["steps"][0] == {
        "setWeight": 10
    }


def test_the_weights_are_of_the_route_that_there_is() -> None:
    manifests = rendered(CANARY, namespace="shop")
    canary = rollout(CANARY, namespace="shop")["strategy"]["canary"]
    assert canary["trafficRouting"] == {
        "plugins": {"argoproj-labs/gatewayAPI": {"httpRoute": "collector", "namespace": "shop"}}
    }
    (rule,) = one(manifests, "HTTPRoute", "collector")["spec"]["rules"]
    # As the controller leaves them at rest: what applies the chart again changes nothing.
    assert {backend["name"]: backend["weight"] for backend in rule["backendRefs"]} == {
        canary["stableService"]: 100,
        canary["canaryService"]: 0,
    }
    assert {f"Service/{name}" for name in ("collector", "collector-canary")} <= names(manifests)
    others = [one(rendered(each), "HTTPRoute", "collector")["spec"]["rules"][0] for each in (BLUE_GREEN,)]
    assert [len(each["backendRefs"]) for each in others] == [1]


def test_blue_green_asks_the_preview_before_it_is_promoted() -> None:
    strategy = rollout(BLUE_GREEN)["strategy"]["blueGreen"]
    (template,) = having(rendered(BLUE_GREEN), "AnalysisTemplate")
    assert strategy == {
        "activeService": "collector",
        "previewService": "collector-preview",
        "autoPromotionEnabled": True,
        "scaleDownDelaySeconds": 120,
        "abortScaleDownDelaySeconds": 30,
        "prePromotionAnalysis": {"templates": [{"templateName": template["metadata"]["name"]}]},
    }
    assert [metric["name"] for metric in template["spec"]["metrics"]] == ["ledger"]
    by_hand = rollout(BLUE_GREEN, {"delivery.blueGreen.autoPromotion": False})["strategy"]["blueGreen"]
    assert by_hand["autoPromotionEnabled"] is False


@STRATEGIES
def test_both_services_lead_to_the_pods_of_the_rollout(strategy: Values) -> None:
    manifests = rendered(strategy)
    labels = rollout(strategy)["template"]["metadata"]["labels"].items()
    services = [each for each in having(manifests, "Service") if "-redis" not in each["metadata"]["name"]]
    assert len(services) == 2
    for service in services:
        # The controller adds the hash of a version, and refuses one that the pods would not have.
        assert service["spec"]["selector"].items() <= labels
        assert service["spec"]["ports"] == services[0]["spec"]["ports"]
    (budget,) = having(manifests, "PodDisruptionBudget")
    assert budget["spec"]["selector"]["matchLabels"].items() <= labels


@STRATEGIES
def test_nobody_is_sent_to_what_is_leaving(strategy: Values) -> None:
    manifests = rendered(strategy)
    (delays,) = rollout(strategy)["strategy"].values()
    drain = float(one(manifests, "ConfigMap", "collector")["data"]["DRAIN_SECONDS"])
    assert min(delays["scaleDownDelaySeconds"], delays["abortScaleDownDelaySeconds"]) > drain
    assert "dynamicStableScale" not in delays, "an abort would wait for pods to start"


@STRATEGIES
def test_the_analysis_asks_the_new_version_by_the_probe(strategy: Values) -> None:
    second = {"canary": "collector-canary", "blueGreen": "collector-preview"}[strategy["delivery.strategy"]]
    spec = ledger(strategy, {"delivery.analysis.rate": 7, "delivery.analysis.seconds": 9})["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    assert container["args"] == ["probe", f"http://{second}:8080", "--rate", "7", "--for", "9s"]
    assert (spec["backoffLimit"], spec["template"]["spec"]["restartPolicy"]) == (0, "Never")
    assert spec["activeDeadlineSeconds"] > 9
    image = rollout(strategy)["template"]["spec"]["containers"][0]["image"]
    assert container["image"] == image
    helm_test = one(rendered(strategy), "Job", "collector-test")["spec"]
    assert helm_test["template"]["metadata"] == spec["template"]["metadata"], "the same policies let it in"


@STRATEGIES
def test_the_probe_has_the_token_of_helm_test(strategy: Values) -> None:
    tokens = {"gateway.anonymous": False, "tokens.secret.name": "tokens", "test.secret.name": "mine"}
    spec = ledger(strategy, tokens)["spec"]["template"]["spec"]
    assert [volume["secret"]["secretName"] for volume in spec["volumes"] if "secret" in volume] == ["mine"]
    assert spec["containers"][0]["env"][0]["name"] == "COLLECTOR_TOKEN_FILE"


@STRATEGIES
@pytest.mark.parametrize("scaled", [SCALED, BY_KEDA], ids=["hpa", "keda"])
def test_what_scales_scales_the_rollout(strategy: Values, scaled: Values) -> None:
    manifests = rendered(strategy, scaled, {"database.connections.max": 300})
    assert "replicas" not in one(manifests, "Rollout", "collector")["spec"]
    (target,) = [
        each["spec"]["scaleTargetRef"]
        for kind in ("HorizontalPodAutoscaler", "ScaledObject")
        for each in having(manifests, kind, "collector")
    ]
    assert target == {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "collector"}
    for worker in having(manifests, "ScaledObject", "collector-worker"):
        assert worker["spec"]["scaleTargetRef"] == {"name": "collector-worker"}


@STRATEGIES
@pytest.mark.parametrize("mode", ["job", "argoSync", "helmHook", "off"])
def test_migrations_come_as_ever(strategy: Values, mode: str) -> None:
    def jobs(values: Values) -> list[Manifest]:
        found = rendered(values, {"migrations.mode": mode})
        return [each for each in having(found, "Job") if "-migrate-" in each["metadata"]["name"]]

    assert jobs(strategy) == jobs(EXISTING)


def test_the_analysis_is_there_before_what_asks_for_it() -> None:
    manifests = rendered(CANARY, {"migrations.mode": "argoSync"})
    waves = {
        kind: int(having(manifests, kind)[0]["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"])
        for kind in ("AnalysisTemplate", "Rollout", "HTTPRoute", "Service")
    }
    assert waves["AnalysisTemplate"] < waves["Rollout"] == waves["HTTPRoute"] == waves["Service"]
