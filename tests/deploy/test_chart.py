"""What the chart makes: valid for Kubernetes, in step with itself and with the service as it really behaves."""

import os
import tomllib
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from contracts.client_key import KEY_VARIABLE
from contracts.settings import SHORT_VARIABLES, setting_keys, variable_of
from flyweight.cli import Journey
from service import metrics
from service.routes import ROUTES
from tests.deploy.chart import CASES, CHART, ROOT, containers, helm_python, of_kind, pods, render, selects

GOLDEN = Path(__file__).parent / "golden"
UNKNOWN_KINDS = ("ServiceMonitor", "PrometheusRule", "ScaledObject")
"""Not Kubernetes' own, so no schema holds them. Files under golden/ do; GOLDEN=write writes them again."""
KUBERNETES = ("1.30", "1.37")
OF_OTHERS = {"BENTOML_HOME", "ARTIFACT_DIR", "REDIS_PASSWORD", "REDISCLI_AUTH", "HOME", "LOG", "RUNGS"}
"""Variables that are no settings: of BentoML, of the image, of Redis, of the system, of retrain.sh."""

everywhere = pytest.mark.parametrize("case", CASES)


@everywhere
def test_every_object_is_valid_for_the_oldest_and_the_newest_kubernetes(case):
    for one in render(CASES[case]):
        for version in KUBERNETES:
            try:
                kubernetes_validate.validate(one, version, strict=True)
            except kubernetes_validate.SchemaNotFoundError:
                assert one["kind"] in UNKNOWN_KINDS


def test_object_with_a_misspelt_field_would_be_found():
    deployment = of_kind(render(), "Deployment")
    deployment["spec"]["template"]["spec"]["terminationGracePeriodSecond"] = 30
    with pytest.raises(kubernetes_validate.ValidationError, match="terminationGracePeriodSecond"):
        kubernetes_validate.validate(deployment, KUBERNETES[0], strict=True)


@everywhere
def test_helm_finds_nothing_wrong_with_the_chart(case):
    """It also reads YAML as a cluster does, which is stricter than ours."""
    report = helm_python.lint(CHART, CASES[case], strict=True)
    told = [one for one in report["messages"] if "icon" not in one["error"]]
    assert (told, report["errors"]) == ([], [])


@pytest.mark.parametrize(("case", "kind"), [("everything", "ServiceMonitor"), ("keda", "ScaledObject")])
def test_kind_that_kubernetes_does_not_know_is_as_it_was(case, kind):
    text = yaml.safe_dump(of_kind(render(CASES[case]), kind), sort_keys=False)
    path = GOLDEN / f"{kind}.yaml"
    if os.environ.get("GOLDEN") == "write":
        path.write_text(text)
    assert text == path.read_text()


@pytest.mark.parametrize("drain", [{}, {"preStopSeconds": 0}, {"preStopSeconds": 15, "seconds": 60}])
def test_grace_period_is_longer_than_all_that_a_stop_may_take(drain):
    deployment = of_kind(render({"drain": drain}), "Deployment")
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    before = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    drain_seconds = float(environment(container)["FLYWEIGHT_SERVICE_DRAIN_SECONDS"])
    assert (before, drain_seconds) == (drain.get("preStopSeconds", 5), drain.get("seconds", 6))
    assert pod["terminationGracePeriodSeconds"] > before + drain_seconds + 20


@everywhere
def test_drain_lasts_until_the_readiness_probe_has_seen_it(case):
    (container,) = of_kind(render(CASES[case]), "Deployment")["spec"]["template"]["spec"]["containers"]
    probe = container["readinessProbe"]
    drain_seconds = float(environment(container)["FLYWEIGHT_SERVICE_DRAIN_SECONDS"])
    assert drain_seconds > probe["periodSeconds"] * probe["failureThreshold"]


def test_probes_ask_what_the_service_answers_without_a_key():
    (container,) = of_kind(render(), "Deployment")["spec"]["template"]["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    paths = {}
    for name in ("startupProbe", "readinessProbe", "livenessProbe"):
        asked = container[name]["httpGet"]
        assert ROUTES[asked["path"]] == "GET"
        assert ports[asked["port"]] == int(environment(container)["PORT"])
        paths[name] = asked["path"]
    assert paths == {"startupProbe": "/livez", "readinessProbe": "/readyz", "livenessProbe": "/livez"}


@everywhere
def test_every_variable_is_a_setting_or_known_by_name(case):
    known = {variable_of(key) for key in setting_keys()} | {*SHORT_VARIABLES} | {KEY_VARIABLE} | OF_OTHERS
    for name, container in containers(render(CASES[case])):
        variables = [one["name"] for one in container.get("env", [])]
        assert len(set(variables)) == len(variables), name
        assert {one for one in variables if not one.startswith("OTEL_")} <= known, name


@everywhere
def test_pods_are_nobody_may_nothing_and_write_only_to_volumes(case):
    for name, template in pods(render(CASES[case])):
        pod = template["spec"]
        assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] >= 999, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not pod["automountServiceAccountToken"]
        assert pod["enableServiceLinks"] is False, "or FLYWEIGHT_REDIS_PORT of a Service is taken for a setting"
        (container,) = pod["containers"]
        security = container["securityContext"]
        assert security["readOnlyRootFilesystem"] and not security["allowPrivilegeEscalation"]
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}
        assert "memory" in container["resources"]["limits"]
        assert not container["image"].endswith((":", ":latest"))


@everywhere
def test_what_is_mounted_exists(case):
    objects = render(CASES[case])
    made = {one["metadata"]["name"] for one in objects if one["kind"] == "PersistentVolumeClaim"}
    for name, template in pods(objects):
        pod = template["spec"]
        volumes = {volume["name"]: volume for volume in pod.get("volumes", [])}
        mounted = {mount["name"] for one in pod["containers"] for mount in one["volumeMounts"]}
        assert mounted <= volumes.keys() | {"data"}, name  # a StatefulSet brings its own
        claims = {volume["persistentVolumeClaim"]["claimName"] for volume in volumes.values() if len(volume) > 1
                  and "persistentVolumeClaim" in volume}  # fmt: skip
        assert claims <= made | {"shared", "log", "state"}, name


@everywhere
def test_every_selector_finds_the_pods_it_is_about(case):
    objects = render(CASES[case])
    labels = {template["metadata"]["labels"]["app.kubernetes.io/component"]: template["metadata"]["labels"]
              for _, template in pods(objects)}  # fmt: skip
    wanted = {"": "service", "-redis": "redis"}
    for one in objects:
        spec, suffix = one.get("spec", {}), one["metadata"]["name"].removeprefix("flyweight")
        if one["kind"] == "Service":
            selector = spec["selector"]
        elif one["kind"] in ("Deployment", "StatefulSet", "PodDisruptionBudget"):
            selector = spec["selector"]["matchLabels"]
        elif one["kind"] == "NetworkPolicy" and suffix in wanted:
            selector = spec["podSelector"]["matchLabels"]
        else:
            continue
        found = {component for component, theirs in labels.items() if selects(selector, theirs)}
        assert found == {wanted[suffix]}, one["kind"]


def test_network_policies_let_through_what_is_needed_and_no_more():
    objects = render(CASES["everything"])
    service, jobs, redis = (
        of_kind(objects, "NetworkPolicy", suffix)["spec"] for suffix in ("", "-jobs", "-redis")
    )
    for policy in (service, jobs, redis):
        assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert ports_of(service["ingress"]) == {3000}
    assert ports_of(service["egress"]) == {53, 6379, 4317, 4318}
    assert jobs["ingress"] == [] and ports_of(jobs["egress"]) == {53, 6379, 3000}
    assert ports_of(redis["ingress"]) == {6379} and redis["egress"] == []
    theirs = {name: template["metadata"]["labels"] for name, template in pods(objects)}
    (from_ours,) = redis["ingress"]
    let_in = [peer["podSelector"]["matchLabels"] for peer in from_ours["from"]]
    may = {name for name, labels in theirs.items() if any(selects(one, labels) for one in let_in)}
    assert may == theirs.keys() - {"flyweight-redis"}


def test_redis_elsewhere_is_reached_on_its_own_port_and_told_to_be_a_cluster():
    objects = render(CASES["redis-elsewhere"])
    assert ports_of(of_kind(objects, "NetworkPolicy")["spec"]["egress"]) == {53, 6380}
    (container,) = of_kind(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    assert environment(container)["FLYWEIGHT_FEATURES_CLUSTER"] == "true"
    assert of_kind(objects, "Secret", "-redis-url")["stringData"] == {"url": "rediss://redis.example:6380"}
    assert not [one for one in objects if one["kind"] == "StatefulSet"]


def test_scaling_leaves_the_number_of_replicas_to_who_scales():
    assert "replicas" not in of_kind(render(), "Deployment")["spec"]
    objects = render(CASES["no-scaling"])
    assert of_kind(objects, "Deployment")["spec"]["replicas"] == 3
    assert not [one for one in objects if one["kind"] in ("HorizontalPodAutoscaler", "ScaledObject")]
    scaled = of_kind(render(CASES["everything"]), "HorizontalPodAutoscaler")["spec"]
    resource, pods_metric = scaled["metrics"]
    assert resource["resource"]["target"] == {"type": "Utilization", "averageUtilization": 70}
    assert pods_metric["pods"]["metric"]["name"] == adapter_rule()["name"]["as"]


def test_what_scales_asks_for_a_metric_that_the_service_has():
    labels = metrics.declared_metrics()["flyweight_request_duration_seconds"]
    (trigger,) = [
        one
        for one in of_kind(render(CASES["keda"]), "ScaledObject")["spec"]["triggers"]
        if one["type"] == "prometheus"
    ]
    for query in (trigger["metadata"]["query"], adapter_rule()["metricsQuery"], adapter_rule()["seriesQuery"]):
        assert "flyweight_request_duration_seconds_sum{" in query and 'route="/predict"' in query
    assert "route" in labels and "/predict" in ROUTES


@everywhere
def test_every_command_of_a_job_is_a_verb_with_flags_that_it_has(case):
    for name, container in containers(render(CASES[case])):
        program, *words = container.get("command", [""])
        if program != "flyweight":
            assert program in ("", "redis-server", "/opt/flyweight/deploy/jobs/retrain.sh"), name
            continue
        verb, *words = words
        Journey().get_command(None, verb).make_context(verb, words, resilient_parsing=True)
        flags = {flag for option in Journey().get_command(None, verb).params for flag in option.opts}
        assert {word for word in words if word.startswith("--")} <= flags, name


def test_alerts_find_the_service_under_the_name_that_they_ask_for():
    objects = render(CASES["everything"], name="shop")
    (monitor,) = [one["spec"] for one in objects if one["kind"] == "ServiceMonitor"]
    (service,) = [
        one["metadata"]["labels"]
        for one in objects
        if one["kind"] == "Service" and selects(monitor["selector"]["matchLabels"], one["metadata"]["labels"])
    ]
    assert service[monitor["jobLabel"]] == "flyweight"


def test_release_of_another_name_is_called_after_it_and_ours():
    names = {one["metadata"]["name"] for one in render(CASES["everything"], name="shop")}
    assert "shop-flyweight" in names and all(name.startswith("shop-flyweight") for name in names)


def test_pod_with_its_own_redis_is_never_there_twice():
    objects = render(CASES["one-pod-with-its-own-redis"])
    deployment = of_kind(objects, "Deployment")["spec"]
    assert (deployment["replicas"], deployment["strategy"]) == (1, {"type": "Recreate"})
    assert "REDIS_URL" not in environment(deployment["template"]["spec"]["containers"][0])


def test_new_keys_start_new_pods():
    before, after = (
        of_kind(render({"keys": {"api": ["sha256:" + 64 * digit]}}), "Deployment")["spec"]["template"]
        for digit in "ab"
    )
    assert before["metadata"]["annotations"] != after["metadata"]["annotations"]


def test_chart_and_service_are_of_one_release():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert chart["version"] == chart["appVersion"] == project["version"]


@pytest.mark.parametrize(
    ("source", "copy", "wanted"),
    [
        ("prometheus/rules.yml", "rules.yml", "prometheusRule"),
        ("grafana/dashboard.json", "dashboard.json", "dashboard"),
    ],
)
def test_chart_carries_the_rules_and_the_dashboard_as_they_are(source, copy, wanted):
    """Helm reads no file outside the chart: `make chart` copies them."""
    original = ROOT / "deploy" / source
    assert (CHART / "files" / copy).read_text() == original.read_text(), "say `make chart`"
    objects = render({wanted: {"enabled": True}})
    if wanted == "prometheusRule":
        assert of_kind(objects, "PrometheusRule")["spec"] == yaml.safe_load(original.read_text())
    else:
        assert of_kind(objects, "ConfigMap", "-dashboard")["data"] == {"flyweight.json": original.read_text()}


def environment(container: dict) -> dict[str, str]:
    """What stands there in words; what comes from a Secret is left out."""
    return {one["name"]: one["value"] for one in container.get("env", []) if "value" in one}


def ports_of(rules: list[dict]) -> set[int]:
    return {port["port"] for rule in rules for port in rule["ports"]}


def adapter_rule() -> dict:
    (rule,) = yaml.safe_load((CHART.parent / "prometheus-adapter.yml").read_text())["rules"]["custom"]
    return rule
