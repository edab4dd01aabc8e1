"""The Helm chart, rendered by Helm itself, offline: what would be sent to a cluster, as plain objects."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml

helm_python = pytest.importorskip("helm_python", reason="helm-python-sdk has a wheel for Linux on x86_64 only")

ROOT = Path(__file__).parent.parent.parent
CHART = ROOT / "deploy" / "kubernetes" / "flyweight"
RELEASE, NAMESPACE = "flyweight", "shop"
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())

_HASH = "sha256:" + 64 * "a"
_JOBS = {name: {"enabled": True} for name in ("materialize", "ingest", "retrain", "loadtest")}
_FULL = _JOBS | {
    "artifacts": {"source": "volume"},
    "keys": {"api": [_HASH], "admin": [_HASH], "clientSecret": {"name": "client"}},
    "redis": {"passwordSecret": {"name": "redis"}},
    "autoscaling": {"inFlight": {"enabled": True}},
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    "otlp": {"endpoint": "http://collector.monitoring:4318"},
    "env": {"FLYWEIGHT_SERVICE_DEADLINE_MS": "50", "OTEL_SERVICE_NAME": "shop"},
    "nodeSelector": {"pool": "serving"},
    "tolerations": [{"key": "serving", "operator": "Exists"}],
    "imagePullSecrets": [{"name": "registry"}],
}
CASES = {
    "default": {},
    "everything": _FULL,
    "keda": _FULL | {"autoscaling": {"kind": "keda", "inFlight": {"enabled": True}}},
    "redis-elsewhere": _JOBS
    | {
        "artifacts": {"source": "volume", "existingClaim": "shared"},
        "data": {"existingClaim": "log"},
        "redis": {"enabled": False, "url": "rediss://redis.example:6380", "cluster": True},
        "networkPolicy": {"redisTo": [{"ipBlock": {"cidr": "10.0.0.0/8"}}], "redisPorts": [6380]},
        "retrain": {"enabled": True, "rungs": ["popularity", "sasrec:jpq"], "nodeSelector": {"pool": "serving"}},
    },
    "redis-url-in-a-secret": {"redis": {"enabled": False, "urlSecret": {"name": "redis-url"}}},
    "one-pod-with-its-own-redis": {
        "redis": {"enabled": False},
        "replicas": 1,
        "autoscaling": {"enabled": False},
        "state": {"existingClaim": "state"},
    },
    "no-scaling": {"autoscaling": {"enabled": False}, "replicas": 3, "networkPolicy": {"enabled": False}},
    "keys-of-a-secret": {"keys": {"existingSecret": "our-keys"}, "drain": {"preStopSeconds": 0, "seconds": 30}},
}
"""Sets of values that a person may well choose. The release is always `flyweight`, its namespace `shop`."""


def render(values: dict | None = None, *, name: str = RELEASE) -> list[dict]:
    """All objects of the chart with these values. Raises `helm_python.HelmError` for values that it refuses."""
    files = _chart().render(values or {}, name=name, namespace=NAMESPACE)
    texts = [text for path, text in files.items() if path.endswith(".yaml")]
    return [found for text in texts for found in yaml.safe_load_all(text) if found]


def of_kind(objects: list[dict], kind: str, suffix: str = "") -> dict:
    """The one object of this kind whose name is that of the release and `suffix`."""
    name = f"{RELEASE}{suffix}"
    (found,) = [one for one in objects if one["kind"] == kind and one["metadata"]["name"] == name]
    return found


def pods(objects: list[dict]) -> Iterator[tuple[str, dict]]:
    """Name of what makes them, and the template of every pod."""
    for one in objects:
        spec = one.get("spec", {})
        template = spec.get("template") or spec.get("jobTemplate", {}).get("spec", {}).get("template")
        if template:
            yield one["metadata"]["name"], template


def containers(objects: list[dict]) -> Iterator[tuple[str, dict]]:
    for name, template in pods(objects):
        for container in template["spec"]["containers"]:
            yield name, container


def selects(selector: dict[str, str], labels: dict[str, str]) -> bool:
    return selector.items() <= labels.items()


@cache
def _chart() -> "helm_python.Chart":
    return helm_python.Chart.load(CHART)
