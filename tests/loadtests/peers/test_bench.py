"""The bench itself: its order, its command line, contenders that end, and one small run from end to end."""

import shutil
import subprocess
import sys

import msgspec
import psutil
import pytest
from click.testing import CliRunner

from contracts.faults import Fault
from loadtests.command_line import ROOT, clean_environment
from loadtests.peers import bench, ceiling, contenders
from loadtests.peers.report import Report
from loadtests.peers.usage import memory_mb
from loadtests.processes import cpu_seconds, family_of


def test_every_other_round_goes_backwards():
    assert [bench.order(("a", "b", "c"), n) for n in (1, 2, 3)] == [tuple("abc"), tuple("cba"), tuple("abc")]


def test_contender_gets_no_setting_of_the_caller():
    environ = {"PATH": "p", "PORT": "1", "FLYWEIGHT_SERVICE_MAX_BATCH": "1", "BENTOML_PORT": "2", "REDIS_URL": "r"}
    assert clean_environment(environ) == {"PATH": "p", "PYTHONPATH": str(ROOT)}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--only", "flask"], "there is no 'flask'; expected some of flyweight"),
        (["--models", "large"], "expected some of transformer, light"),
        (["--connections", "1,x"], "expected numbers of connections such as 1,16,64"),
    ],
)
def test_usage_error_says_what_is_allowed(arguments, told):
    result = CliRunner().invoke(bench.main, arguments)
    assert result.exit_code == 2
    assert told in " ".join(result.output.split())


def test_missing_wrk_exits_3_with_the_remedy_and_writes_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("FLYWEIGHT_PATHS_REPORTS", str(tmp_path / "reports"))
    result = CliRunner().invoke(bench.main, ["--smoke"])
    assert result.exit_code == 3
    assert "apt-get install wrk" in result.output
    assert not (tmp_path / "reports").exists()


def test_contender_is_ready_with_all_workers_and_ends_whole_on_an_error(world, tmp_path):
    members: list[psutil.Process] = []
    with pytest.raises(KeyboardInterrupt), contenders.running("bare-asgi", world, tmp_path) as contender:
        members += contender.family()
        assert len(members) > 2
        assert memory_mb(members) > 10
        assert cpu_seconds(members) > 0
        raise KeyboardInterrupt
    assert not any(process.is_running() for process in members)
    assert family_of(contender.process.pid) == []


def test_contender_that_does_not_come_up_is_told_with_its_log(world, tmp_path):
    (tmp_path / "empty.toml").write_text('[paths]\nartifacts = "none"\n')
    nowhere = contenders.World(world.model, tmp_path / "empty.toml", world.artifact, world.redis_url)
    folder = tmp_path / "scratch"
    folder.mkdir()
    told = pytest.raises(Fault, match=r"(?s)flyweight ended with exit code 2 .*nothing is promoted")
    with told, contenders.running("flyweight", nowhere, folder):
        pass


def test_ceiling_adds_up_the_processes_that_predict_at_once(world):
    rate = ceiling.measure(world.artifact, processes=2, batch=8, seconds=0.2)
    assert (rate.processes, rate.batch) == (2, 8)
    assert rate.predictions_per_second > 100


@pytest.mark.skipif(not shutil.which("wrk"), reason="wrk is not installed")
def test_a_small_run_writes_the_report_and_names_it_last(tmp_path):
    reports, runs = tmp_path / "reports", tmp_path / "runs"
    told = {"FLYWEIGHT_PATHS_REPORTS": str(reports), "FLYWEIGHT_PATHS_RUNS": str(runs)}
    command = [sys.executable, "-m", "loadtests.peers.bench", "--smoke", "--only", "fastapi"]
    ended = subprocess.run(command, cwd=ROOT, env=clean_environment() | told, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == str(reports / "bench.json")
    report = msgspec.json.decode((reports / "bench.json").read_bytes(), type=Report)
    assert [(m.contender, m.connections) for m in report.rounds] == [("fastapi", 16)]
    assert report.rounds[0].rps > 0
    assert report.void is None
