"""Prometheus, its rules and the dashboard against a real service: what they ask for exists, and gives figures."""

import json
import math
import re
import shutil
import signal
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from contracts.load_sections import Slo
from contracts.pointer import move_pointer
from contracts.reasons import Reason
from service import metrics
from service.embedded_redis import running
from service.filling import History, write_histories
from service.redis_clients import connect
from tests.service.keep_alive import asking
from tests.service.real_server import OURS, ROOT, Server, await_that, free_port, launch, stop

DEPLOY = ROOT / "deploy"
FOLDER = DEPLOY / "prometheus"
GROUPS = yaml.safe_load((FOLDER / "rules.yml").read_text())["groups"]
RULES = [rule for group in GROUPS for rule in group["rules"]]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
RECORDED = {rule["record"] for rule in RULES if "record" in rule}
DASHBOARD = json.loads((DEPLOY / "grafana" / "dashboard.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [(panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"]]
RULE_TESTS = ("rules_test.yml", "rules_days_test.yml")

needs_prometheus = pytest.mark.skipif(
    not (shutil.which("promtool") and shutil.which("prometheus")),
    reason="Prometheus is not installed: apt-get install --no-install-recommends prometheus",
)


@pytest.fixture(scope="module")
def server(tiny, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service that knows one user, and has seen every kind of traffic once."""
    root = tmp_path_factory.mktemp("observed")
    artifact = tiny.seal(root / "artifacts")
    move_pointer(root / "artifacts", artifact.path)
    server = launch(OURS, root)
    with connect(running(root / "state")) as redis:
        write_histories(redis, [History("u1", np.array([10]), np.array([0]))], longest=100, ttl_seconds=600)
    ask_everything(server)
    yield server
    stop(server, signal.SIGKILL)


def ask_everything(server: Server) -> None:
    moment = int(time.time() * 1000)
    event = {"event_id": f"e{moment}", "type": "click", "user_id": "u1", "item_id": "i1", "timestamp": moment}
    assert server.call("/predict", {"user_id": "nobody"})[0] == 200
    assert server.call("/predict", {"history": ["i0", "unheard of"]})[0] == 200
    assert server.call("/events", {"events": [event]})[0] == 202
    assert server.call("/nope")[0] == 404


@pytest.fixture(scope="module")
def labels(server: Server) -> dict[str, set[str]]:
    """What /metrics shows: the labels of each series, by its name. Those of the streams come with a first look."""
    await_that(lambda: 'flyweight_event_lag_seconds{stream="served"}' in server.call("/metrics")[1])
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(server.call("/metrics")[1]):
        assert family.documentation
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def test_every_declared_metric_is_shown_with_its_labels(labels: dict[str, set[str]]) -> None:
    for name, expected in metrics.declared_metrics().items():
        assert labels.get(name, labels.get(f"{name}_count")) == set(expected), name


@pytest.mark.parametrize("query", [expr for _, expr in QUERIES] + [rule["expr"] for rule in RULES])
def test_every_metric_and_label_of_dashboard_and_rules_exists(labels: dict[str, set[str]], query: str) -> None:
    asked = re.findall(r"\b(flyweight_\w+)(?:\{([^}]*)\})?", query)
    assert asked or re.search(r"flyweight:|up\{|vector", query)
    names = {name for name, _ in asked}
    known = {"job", "instance"}.union(*(labels[name] for name in names))
    for name, matchers in asked:
        assert set(re.findall(r"(\w+)(?==)", matchers)) <= labels[name]
    for grouped in re.findall(r"\b(?:by|ignoring) \(([^)]*)\)", query):
        assert set(grouped.split(", ")) <= known
    assert set(re.findall(r"flyweight:[\w:]+", query)) <= RECORDED


def test_every_legend_names_labels_that_its_query_leaves() -> None:
    for panel in PANELS:
        for target in panel["targets"]:
            shown = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            kept = {label for by in re.findall(r"by \(([^)]*)\)", target["expr"]) for label in by.split(", ")}
            assert shown <= (kept or {"instance"}), panel["title"]


def test_panels_have_titles_of_their_own_and_lie_side_by_side() -> None:
    assert len({panel["title"] for panel in PANELS}) == len(PANELS)
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    taken = set()
    for place in (panel["gridPos"] for panel in DASHBOARD["panels"]):
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        taken |= cells
    assert max(x for x, _ in taken) < 24


def test_bounds_in_the_rules_are_those_of_the_default_slo() -> None:
    objectives = {one.figure: one for one in Slo().objectives("server")}
    bad = next(rule["expr"] for rule in RULES if rule.get("record") == "flyweight:predict_bad:ratio_rate5m")
    loosest = max(one.bound for one in objectives.values() if one.percent)
    assert f'le="{loosest / 1000:g}"' in bad
    budget = f"{1 - objectives['goodput'].bound:.3g}"
    for alert in ("FlyweightBudgetBurnsFast", "FlyweightBudgetBurnsSlow"):
        assert ALERTS[alert]["expr"].count(f"* {budget}") == 2
    assert ALERTS["FlyweightDegraded"]["expr"].endswith(f"> {objectives['degraded'].bound:g}")


def test_rules_call_degraded_what_is_degraded() -> None:
    expression = next(rule["expr"] for rule in RULES if rule.get("record") == "flyweight:degraded:ratio_rate5m")
    pattern = re.search(r'reason=~"([^"]*)"', expression)[1]
    assert {reason for reason in Reason if re.fullmatch(pattern, reason)} == {r for r in Reason if r.degraded}


def test_every_alert_says_what_it_is_and_has_its_section_in_the_runbook() -> None:
    sections = re.findall(r"^## (\w+)$", (ROOT / "docs" / "runbook.md").read_text(), re.MULTILINE)
    assert sorted(sections) == sorted(ALERTS)
    observing = (ROOT / "docs" / "observing.md").read_text()
    for name, rule in ALERTS.items():
        assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
        assert rule["annotations"]["runbook_url"] == f"docs/runbook.md#{name.lower()}"
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert f"`{name}`" in observing


def test_the_runbook_names_panels_that_exist() -> None:
    runbook = (ROOT / "docs" / "runbook.md").read_text()
    titles = {panel["title"] for panel in PANELS}
    named = {name for name in re.findall(r"(?<!\*)\*([A-Z][^*]+)\*(?!\*)", runbook)}
    assert len(named) > 10
    assert all(any(title.startswith(name) for title in titles) for name in named), named


def test_every_alert_is_shown_to_fire_by_the_unit_tests_of_the_rules() -> None:
    text = "".join((FOLDER / name).read_text() for name in RULE_TESTS)
    assert set(re.findall(r'alertname="(\w+)"', text)) == set(ALERTS)


def promtool(*arguments: str, given: str | None = None) -> str:
    done = subprocess.run(
        ["promtool", *arguments], cwd=FOLDER, input=given, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@needs_prometheus
def test_promtool_finds_nothing_wrong_with_the_real_metrics(server: Server) -> None:
    assert promtool("check", "metrics", given=server.call("/metrics")[1]) == ""


@needs_prometheus
def test_promtool_finds_nothing_wrong_with_configuration_and_rules() -> None:
    assert "SUCCESS" in promtool("check", "config", "prometheus.yml")
    assert "SUCCESS" in promtool("check", "rules", "rules.yml")


@needs_prometheus
@pytest.mark.parametrize("name", RULE_TESTS)
def test_alerts_fire_when_they_should_and_only_then(name: str) -> None:
    assert "SUCCESS" in promtool("test", "rules", name)


def configuration(folder: Path, server: Server) -> Path:
    """Ours, but for where the service is and how often it is asked."""
    found = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    found["global"] = {"scrape_interval": "500ms", "evaluation_interval": "500ms"}
    found["rule_files"] = [str(FOLDER / name) for name in found["rule_files"]]
    (scrape,) = found["scrape_configs"]
    del scrape["dns_sd_configs"]
    scrape["static_configs"] = [{"targets": [f"127.0.0.1:{server.port}"]}]
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(found))
    return path


@pytest.fixture
def prometheus(server: Server, tmp_path: Path) -> Iterator[str]:
    """A real Prometheus that scrapes the service; its address."""
    address = f"127.0.0.1:{free_port()}"
    options = {
        "config.file": configuration(tmp_path, server),
        "storage.tsdb.path": tmp_path / "data",
        "web.listen-address": address,
        "log.level": "error",
    }
    process = subprocess.Popen(["prometheus", *(f"--{name}={value}" for name, value in options.items())])
    yield f"http://{address}/api/v1"
    process.kill()
    process.wait()


def asked(prometheus: str, path: str, **parameters: str) -> dict:
    try:
        with urllib.request.urlopen(
            f"{prometheus}/{path}?{urllib.parse.urlencode(parameters)}", timeout=10
        ) as reply:
            return json.load(reply)["data"]
    except OSError:  # it starts, or refuses the query: then its caller waits in vain
        return {}


def has_figures(prometheus: str, query: str) -> bool:
    found = asked(prometheus, "query", query=query.replace("$__rate_interval", "5s")).get("result", [])
    return any(not math.isnan(float(series["value"][1])) for series in found)


@needs_prometheus
def test_every_panel_has_figures_from_a_real_prometheus_that_scrapes_the_service(
    server: Server, prometheus: str
) -> None:
    missing = list(QUERIES)

    def all_have_figures() -> bool:
        ask_everything(server)
        missing[:] = [(title, query) for title, query in missing if not has_figures(prometheus, query)]
        return not missing

    with asking(2, server.port, {"user_id": "u1"}) as clients:
        try:
            await_that(all_have_figures, 30)
        except AssertionError:
            pytest.fail(f"no figures: {missing}")
    assert [client.errors for client in clients] == [[], []]
    rules = [rule for group in asked(prometheus, "rules")["groups"] for rule in group["rules"]]
    assert [(rule["name"], rule.get("lastError")) for rule in rules if rule["health"] != "ok"] == []
    assert len(rules) == len(RULES)
