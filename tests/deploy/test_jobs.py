"""The second image and what its jobs do: deploy/jobs."""

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from flyweight.cli import VERBS
from tests.deploy.chart import CASES, ROOT, containers, of_kind, render
from tests.deploy.compose import SERVICES

JOBS = ROOT / "deploy" / "jobs"
CONTAINERFILE = (JOBS / "Containerfile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture
def retrain(tmp_path):
    """Run the script with a `flyweight` that writes down how it was called, and ends a verb as it is told."""
    stand_in = tmp_path / "flyweight"
    stand_in.write_text('#!/bin/sh\necho "$@" >> calls\neval "exit \\${EXIT_OF_$1:-0}"\n')
    stand_in.chmod(0o755)

    def run(**variables: str) -> tuple[int, list[str]]:
        told = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "LOG": "/data/events", **variables}
        ended = subprocess.run([JOBS / "retrain.sh"], cwd=tmp_path, env=told, capture_output=True, timeout=20)
        return ended.returncode, (tmp_path / "calls").read_text().splitlines()

    return run


def test_retraining_walks_the_journey_from_events_to_a_promotion(retrain):
    code, calls = retrain()
    assert (code, calls[0]) == (0, "ingest")
    assert calls[1:] == ["train --interactions /data/events --all", "export --all", "measure", "promote"]
    assert {call.split()[0] for call in calls} <= VERBS.keys()


def test_retraining_learns_only_the_rungs_that_are_named(retrain):
    _, calls = retrain(RUNGS="popularity sasrec:jpq")
    assert calls[1:3] == [
        "train --interactions /data/events --rung popularity",
        "train --interactions /data/events --rung sasrec:jpq",
    ]


def test_retraining_goes_on_without_the_newest_events(retrain):
    code, calls = retrain(EXIT_OF_ingest="3")
    assert (code, calls[-1]) == (0, "promote")


@pytest.mark.parametrize("verb", ["train", "export", "measure", "promote"])
def test_retraining_ends_with_the_exit_code_of_the_step_that_failed(retrain, verb):
    code, calls = retrain(**{f"EXIT_OF_{verb}": "1"})
    assert (code, calls[-1].split()[0]) == (1, verb)


def test_retraining_runs_alone_and_is_not_repeated_when_the_verdict_is_no():
    spec = of_kind(render(CASES["everything"]), "CronJob", "-retrain")["spec"]
    assert spec["concurrencyPolicy"] == "Forbid"
    moved, ended = spec["jobTemplate"]["spec"]["podFailurePolicy"]["rules"]
    assert (moved["action"], moved["onPodConditions"][0]["type"]) == ("Ignore", "DisruptionTarget")
    assert (ended["action"], ended["onExitCodes"]["values"]) == ("FailJob", [1, 2])


def test_image_installs_what_learns_and_what_asks_with_the_pinned_torch():
    (torch,) = [one for one in PROJECT["optional-dependencies"]["train"] if one.startswith("torch==")]
    assert f"pip install --no-cache-dir {torch} --index-url https://download.pytorch.org/whl/cpu" in CONTAINERFILE
    assert "'.[train,loadtest]'" in CONTAINERFILE
    assert re.findall(r"https?://\S+", CONTAINERFILE) == ["https://download.pytorch.org/whl/cpu"]


def test_image_copies_every_room_and_nothing_that_is_not_there():
    copied = {
        source for line in re.findall(r"^COPY (.+)$", CONTAINERFILE, re.MULTILINE) for source in line.split()[:-1]
    }
    assert all((ROOT / source).exists() for source in copied)
    assert {"contracts", "models", "service", "export", "loadtests", "flyweight", "pyproject.toml"} <= copied
    assert os.access(JOBS / "retrain.sh", os.X_OK)


def test_image_is_run_by_its_own_user_from_the_paths_it_has():
    jobs = [
        one for _, one in containers(render(CASES["everything"])) if one["image"].startswith("flyweight-jobs:")
    ]
    assert {job["name"] for job in jobs} == {"materialize", "ingest", "retrain", "loadtest"}
    assert "USER 1034:1034" in CONTAINERFILE
    (home,) = re.findall(r"^WORKDIR (\S+)$", CONTAINERFILE, re.MULTILINE)
    named = (
        [job["command"][0] for job in jobs] + SERVICES["locust"]["command"] + SERVICES["locust-worker"]["command"]
    )
    for path in (word.partition("=")[2] or word for word in named if f"{home}/" in word):
        assert (ROOT / Path(path).relative_to(home)).exists()
