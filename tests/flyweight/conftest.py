"""The verbs called in this process, as the command line calls them."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from flyweight.cli import main


@dataclass(frozen=True)
class Ended:
    """How a verb ended; `result` is what it wrote for `--json`, None when it wrote nothing."""

    exit_code: int
    stdout: str
    stderr: str
    result: dict | None


@pytest.fixture
def call(tmp_path: Path) -> Callable[..., Ended]:
    """`call(world, "measure", "sasrec:fp32")`: a verb in the world's project folder."""

    def run(world, *arguments: object) -> Ended:
        file = tmp_path / "result.json"
        file.unlink(missing_ok=True)
        command = [*map(str, arguments), "--config", str(world.config), "--json", str(file)]
        ended = CliRunner().invoke(main, command)
        result = json.loads(file.read_text()) if file.exists() else None
        return Ended(ended.exit_code, ended.stdout, ended.stderr, result)

    return run
