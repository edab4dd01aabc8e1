"""The values of the chart: what cannot work is refused, what there is stands in the docs."""

import json
import re

import pytest

from loadtests.sizing import size, size_by_cpu
from tests.deploy.chart import ROOT, VALUES, helm_python, render

ONE_POD = {"redis": {"enabled": False}, "replicas": 1, "autoscaling": {"enabled": False}}
README = (ROOT / "README.md").read_text()
PAGE = (ROOT / "docs" / "kubernetes.md").read_text()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"redis": {"enabled": False}}, "redis: found none"),
        ({"redis": {"enabled": False}, "replicas": 1}, "redis: found none"),  # something scales it
        (ONE_POD | {"ingest": {"enabled": True}}, "jobs that cannot reach"),
        ({"redis": {"url": "redis://elsewhere:6379"}}, "found both"),
        ({"redis": {"enabled": False, "url": "redis://a", "urlSecret": {"name": "b"}}}, "both url and urlSecret"),
        ({"redis": {"cluster": True}}, "redis.cluster"),
        ({"state": {"existingClaim": "mine"}}, "state.existingClaim"),
        ({"drain": {"seconds": 4}}, "drain.seconds: found 4, expected at least 5"),
        ({"probes": {"readyPeriodSeconds": 10}}, "drain.seconds: found 6, expected at least 21"),
        ({"resources": {"limits": {"cpu": None}}}, "resources.limits.cpu"),
        ({"env": {"FLYWEIGHT_SERVICE_PORT": "80"}}, "env.FLYWEIGHT_SERVICE_PORT"),
        ({"env": {"FLYWEIGHT_PATHS_ARTIFACTS": "/mine"}}, "env.FLYWEIGHT_PATHS_ARTIFACTS"),
        ({"retrain": {"enabled": True}}, "artifacts.source"),
        ({"keys": {"api": ["sha256:" + 64 * "a"], "existingSecret": "mine"}}, "keys: found hashes"),
        ({"keys": {"existingSecret": "mine"}, "serviceMonitor": {"enabled": True}}, "keys.clientSecret"),
        ({"redis": {"enabled": False, "url": "rediss://:word@elsewhere:6380/0"}}, "redisPorts: found no 6380"),
        ({"redis": {"enabled": False, "url": "redis://a"}, "networkPolicy": {"redisPorts": [1]}}, "found no 6379"),
        ({"otlp": {"endpoint": "http://collector:8080/v1"}}, "otlpPorts: found no 8080, the port of otlp"),
        (
            {"otlp": {"endpoint": "http://a:4318"}, "env": {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://b:4318"}},
            "env.OTEL_EXPORTER_OTLP_ENDPOINT",
        ),
        ({"autoscaling": {"minReplicas": 9}}, "above maxReplicas = 6"),
        ({"replica": 3}, "replica"),  # from here on: the schema
        ({"replicas": 0}, "replicas"),
        ({"replicas": "two"}, "replicas"),
        ({"redis": {"uri": "redis://elsewhere"}}, "uri"),
        ({"redis": {"enabled": False, "url": "elsewhere:6379"}}, "redis"),
        ({"keys": {"api": ["secret"]}}, "keys"),
        ({"env": {"SERVICE_DEADLINE_MS": "50"}}, "SERVICE_DEADLINE_MS"),
        ({"env": {"FLYWEIGHT_SERVICE_DEADLINE_MS": 50}}, "env"),  # numbers would come out as 5e+01 one day
        ({"autoscaling": {"kind": "vpa"}}, "kind"),
        ({"ingest": {"schedule": "hourly"}}, "schedule"),
        ({"artifacts": {"source": "bucket"}}, "source"),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)  # fmt: skip
def test_values_that_cannot_work_are_refused_by_name(values, words):
    with pytest.raises(helm_python.HelmError, match=words.replace(".", r"\.")):
        render(values)


def test_every_value_is_documented_with_its_default_and_no_other():
    rows = dict(re.findall(r"^\| `([\w.]+)` \| (`[^`]*`) \|", PAGE, re.MULTILINE))
    assert rows == {path: f"`{json.dumps(value)}`" for path, value in leaves(VALUES)}


def test_example_of_sizing_is_what_a_load_test_would_say():
    by_cpu = size_by_cpu(10_000, 268, 2, headroom=0.3, price=None)
    by_capacity = size(10_000, 3221, 2, headroom=0.3, price=None)
    assert f"so {by_cpu.vcpus} vCPUs" in PAGE and f"{by_cpu.replicas} replicas\n" in PAGE
    assert f"so {by_capacity.replicas} replicas of 2 vCPUs" in PAGE
    row = next(line for line in README.splitlines() if line.startswith("| sasrec:fp32 |") and "3,221" in line)
    assert "| 268 |" in row


def leaves(values: dict, place: str = "") -> list[tuple[str, object]]:
    """Every value with its path; resources and what is empty are values of their own."""
    found = []
    for name, value in values.items():
        path = f"{place}.{name}".lstrip(".")
        inner = isinstance(value, dict) and value and name not in ("resources", "labels")
        found += leaves(value, path) if inner else [(path, value)]
    return found
