"""`make audit`: what could not be asked was not audited, and that is no success."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

AUDIT = Path(__file__).parent.parent / ".ci" / "audit"
NOBODY = "http://127.0.0.1:9"  # discard: nothing listens there


def audit(venv: Path, **environ: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [AUDIT], env=os.environ | {"VENV": str(venv)} | environ, capture_output=True, text=True, timeout=120
    )


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    """A stand-in for a virtual environment with this Python, and a pip-audit that says what a test tells it."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (programs / "pip-audit").write_text(
        '#!/bin/sh\nwhile [ "$1" != --output ]; do shift; done\nprintf "%s" "$SAYS" > "$2"\nexit $ENDS\n'
    )
    for program in programs.iterdir():
        program.chmod(0o755)
    return tmp_path


def test_service_that_is_unreachable_means_not_audited() -> None:
    ended = audit(Path(sys.prefix), HTTPS_PROXY=NOBODY, https_proxy=NOBODY, NO_PROXY="", no_proxy="")
    assert ended.returncode == 3
    assert "not audited" in ended.stderr


def test_clean_packages_are_a_yes(venv: Path) -> None:
    ended = audit(venv, ENDS="0", SAYS='{"dependencies": [{"name": "a", "version": "1", "vulns": []}]}')
    assert (ended.returncode, ended.stdout) == (0, "audited 1 packages, 0 known vulnerabilities\n")


def test_known_vulnerability_is_named_and_a_no(venv: Path) -> None:
    found = {"id": "CVE-1", "fix_versions": ["2"], "aliases": [], "description": ""}
    says = {"dependencies": [{"name": "a", "version": "1", "vulns": [found]}]}
    ended = audit(venv, ENDS="1", SAYS=json.dumps(says))
    assert ended.returncode == 1
    assert "a 1: CVE-1, mended in 2" in ended.stdout


def test_audit_that_ended_without_a_word_means_not_audited(venv: Path) -> None:
    assert audit(venv, ENDS="1", SAYS="").returncode == 3
