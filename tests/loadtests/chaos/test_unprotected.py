"""Controls switch off what is really there: a protection that was renamed must not stay on unseen."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

import loadtests.chaos
from loadtests.command_line import ROOT

UNPROTECTED = Path(loadtests.chaos.__file__).parent / "unprotected"
PROTECTIONS = runpy.run_path(str(UNPROTECTED / "sitecustomize.py"))["PROTECTIONS"]


def run_python(code: str, *without: str) -> subprocess.CompletedProcess:
    path = os.pathsep.join([str(UNPROTECTED), str(ROOT)])
    environ = {**os.environ, "PYTHONPATH": path, "CHAOS_WITHOUT": ",".join(without)}
    return subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("name", PROTECTIONS)
def test_protection_is_off_when_named_and_on_otherwise(name):
    for module, place, _ in PROTECTIONS[name]:
        code = f"import {module} as m; print(m.{place}.__module__)"
        assert run_python(code, name).stdout.strip() == "sitecustomize"
        assert run_python(code).stdout.strip() == module


def test_protection_that_is_not_known_is_refused():
    assert "KeyError" in run_python("", "gravity").stderr


def test_damaged_artifact_opens_only_where_checksums_are_off(tmp_path):
    code = (
        "from pathlib import Path; from contracts.artifact import SealedFile, verify_file; "
        f"verify_file(Path({str(tmp_path / 'missing')!r}), SealedFile('0', 1))"
    )
    assert run_python(code).returncode != 0
    assert run_python(code, "checksums").returncode == 0
