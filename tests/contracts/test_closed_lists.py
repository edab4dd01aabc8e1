"""Lists that other systems rely on: reasons, exit codes, code revisions."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import contracts
from contracts import faults
from contracts.progress import silent
from contracts.reasons import Reason, Source
from contracts.revision import LEARNING, code_revision


def test_reasons_by_design_are_not_degraded_and_faults_are():
    by_design = {reason for reason in Reason if not reason.degraded}
    assert by_design == {"ok", "cold_user", "unknown_items"}
    assert set(Reason) - by_design == {
        "feature_cache_down", "feature_cache_timeout", "feature_cache_empty", "deadline", "model_unavailable",
    }  # fmt: skip


def test_sources_are_the_three_that_an_answer_can_have():
    assert {str(source) for source in Source} == {"model", "popular", "trending"}


@pytest.mark.parametrize(
    ("fault", "exit_code"),
    [
        (faults.VerdictIsNo, 1),
        (faults.UsageFault, 2),
        (faults.SettingsFault, 2),
        (faults.LogFault, 2),
        (faults.ArtifactFault, 2),
        (faults.RunNotValid, 3),
        (faults.Fault, 4),
    ],
)
def test_exit_code_says_who_can_act(fault, exit_code):
    assert fault("what was found").exit_code == exit_code


def test_code_revision_changes_with_any_source_and_with_nothing_else(tmp_path):
    shutil.copytree(Path(contracts.__file__).parent, tmp_path / "contracts")
    (tmp_path / "models").mkdir()
    source = tmp_path / "models" / "new.py"

    def revision() -> str:
        program = f"from contracts.revision import code_revision; print(code_revision({LEARNING}))"
        environ = {**os.environ, "PYTHONPATH": str(tmp_path)}
        command = [sys.executable, "-c", program]
        return subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True).stdout

    before = revision()
    (tmp_path / "models" / "notes.txt").write_text("not a source")
    assert revision() == before
    source.write_text("first = 1\n")
    added = revision()
    source.write_text("first = 2\n")
    assert len({before, added, revision()}) == 3


def test_code_revision_is_twelve_hex_digits_and_names_the_rooms_it_covers():
    assert len(code_revision()) == 12 and int(code_revision(), 16) >= 0
    assert code_revision(LEARNING) != code_revision()


def test_silent_progress_prints_nothing(capsys):
    silent("task", 1, 2)
    assert capsys.readouterr() == ("", "")
