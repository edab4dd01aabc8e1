"""docs/your-model.md, done as it says: every command and every line of code on it, in the tiny planted world."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from contracts.pointer import read_pointer
from export.promotion.promoting import latest_decision
from flyweight.cli import main
from tests.conftest import World
from tests.service.redis_servers import free_port

PAGE = (Path(__file__).parent.parent / "docs" / "your-model.md").read_text()
COMMANDS = re.findall(r"^\$ (.+)$", PAGE.replace("u0019", "u019"), re.MULTILINE)  # ids are shorter in a small log
NOT_AGAIN = ("sample",)
"""The tiny world has a log already."""


@pytest.fixture
def project(exported: World, tmp_path: Path, monkeypatch) -> World:
    """A folder that holds the log as `sample`, what was trained on it, and settings of the page."""
    world = exported.copy(tmp_path / "project")
    world.log.rename(world.root / "sample")
    rule = re.search(r"```toml\n(.*?)```", PAGE, re.DOTALL).group(1).replace("10.0", "90.0")
    settings = world.config.read_text().replace('refit = "none"', 'refit = "train+validation"')
    world.config.write_text(settings + rule + "[service]\nworkers = 1\ndrain-seconds = 0\n")
    for name, code in re.findall(r"```python\n# (\w+\.py)\n(.*?)```", PAGE, re.DOTALL):
        (world.root / name).write_text(code)
    monkeypatch.chdir(world.root)
    monkeypatch.setenv("PORT", str(free_port()))
    monkeypatch.setenv("BENTOML_HOME", str(world.root / "bentoml"))
    return world


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen]]:
    processes: list[subprocess.Popen] = []
    yield processes
    for process in processes:
        process.terminate()
        process.wait(30)


def test_the_page_leads_from_a_log_to_answers_of_your_own_model(project, started):
    said = {}
    for command in COMMANDS:
        program, *arguments = shlex.split(command)
        if program == "python":
            subprocess.run([sys.executable, *arguments], check=True)
        elif arguments[-1] == "&":
            started.append(subprocess.Popen([sys.executable, "-m", program, *arguments[:-1]], env=os.environ))
        elif arguments[0] not in NOT_AGAIN:
            ended = CliRunner().invoke(main, arguments)
            assert ended.exit_code == 0, f"{command}: {ended.output}"
            said[command] = ended.stdout
    served = read_pointer(project.settings.paths.artifacts)
    assert served.name.startswith("follows-fp32-")
    decision = latest_decision(project.settings.paths.artifacts)
    assert {verdict.name for verdict in decision.verdicts} >= {
        "popularity:fp32",
        "item-to-item:fp32",
        "follows:fp32",
    }
    assert "It was brought along and cannot be trained again here" in decision.reason
    assert "model (ok), follows:fp32" in said["flyweight ask u019"]
    report = CliRunner().invoke(main, ["report"])
    assert report.exit_code == 0, report.output
    page = (project.settings.paths.reports / "report.html").read_text()
    assert "a graph that was trained elsewhere and brought along" in page
    assert "flyweight adopt MODEL.onnx --name follows" in page
    assert sum(command.startswith("flyweight ") for command in COMMANDS) > 10
