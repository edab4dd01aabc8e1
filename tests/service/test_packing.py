"""What `bentoml build` packs, what it installs, and what importing the service may not need."""

import itertools
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import tomllib
import urllib.request
from pathlib import Path

import pytest

from contracts.artifact import Artifact
from contracts.pointer import move_pointer
from tests.service.pickles import pickles_in

ROOT = Path(__file__).parent.parent.parent
NEVER = ("torch", "polars", "onnx", "onnxscript", "scipy", "locust", "models", "export", "loadtests")
REFUSE = f"""
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {NEVER!r}:
            raise ImportError("refused: " + name)
sys.meta_path.insert(0, Refuse())
"""


def run(code: str, **environ: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", REFUSE + code],
        cwd=ROOT, env={**os.environ, **environ}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def test_service_imports_without_what_trains(tmp_path: Path) -> None:
    ended = run("import service, service.serving; service.Flyweight", BENTOML_HOME=str(tmp_path))
    assert ended.returncode == 0, ended.stderr


def test_predictor_imports_without_bentoml() -> None:
    ended = run("import service.predictor, service.ranking; assert 'bentoml' not in sys.modules")
    assert ended.returncode == 0, ended.stderr


def test_onnxruntime_reports_to_nobody(tiny, tmp_path: Path) -> None:
    artifact = tiny.seal(tmp_path)
    load = f"from pathlib import Path; from service.rollout import load; load(Path({str(artifact.path)!r}))"
    kept = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    home = tmp_path / "home"
    home.mkdir()
    command = [sys.executable, "-c", load]
    subprocess.run(command, cwd=ROOT, env={**kept, "HOME": str(home)}, check=True, timeout=60)
    assert list(home.rglob("*")) == []


def locked() -> dict[str, str]:
    """Name and version of every package in the image."""
    lines = (ROOT / "deploy/image/requirements.txt").read_text()
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+) \\$", lines, re.MULTILINE))


def test_image_holds_what_pyproject_pins_for_serving() -> None:
    pinned = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    of_linux = [one.partition(";")[0] for one in pinned]
    expected = {re.sub(r"\[.*\]", "", name): version for name, version in (one.split("==") for one in of_linux)}
    assert expected.items() <= locked().items(), "run `make lock`"


def test_every_package_of_the_image_is_held_by_hashes_and_comes_from_nowhere_in_particular() -> None:
    lines = (ROOT / "deploy/image/requirements.txt").read_text().splitlines()
    assert {
        line
        for line in lines
        if not re.fullmatch(r"[a-z0-9-]+==\S+ \\|    --hash=sha256:[0-9a-f]{64}( \\)?", line)
    } == set()
    unhashed = [one for one, after in itertools.pairwise(lines) if "==" in one and "--hash" not in after]
    assert unhashed == []


def test_sbom_names_the_packages_of_the_image_and_no_other() -> None:
    sbom = json.loads((ROOT / "deploy/image/sbom.cdx.json").read_text())
    assert sbom["bomFormat"] == "CycloneDX"
    named = {re.sub(r"[-_.]+", "-", part["name"]).lower(): part["version"] for part in sbom["components"]}
    assert named == locked(), "run `make lock`"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what a checkout holds, with much that must stay out."""
    project = tmp_path_factory.mktemp("project")
    for room in ("service", "contracts", "flyweight", "deploy/image"):
        shutil.copytree(ROOT / room, project / room, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("bentofile.yaml", "flyweight.toml", "pyproject.toml"):
        shutil.copy(ROOT / name, project / name)
    for stray in (".env", "tests/test_a.py", "models/rungs/sasrec.py", "artifacts/promoted", "service/secret.key"):
        (project / stray).parent.mkdir(parents=True, exist_ok=True)
        (project / stray).write_text("SECRET=1")
    return project


@pytest.fixture(scope="module")
def artifact(tiny, project: Path) -> Artifact:
    artifact = tiny.seal(project / "bundle")
    move_pointer(project / "bundle", artifact.path)
    return artifact


@pytest.fixture(scope="module")
def bento(project: Path, artifact: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a bento built from `project`, in a BENTOML_HOME of its own."""
    home = tmp_path_factory.mktemp("bentoml")
    environ = {**os.environ, "BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True"}
    built = subprocess.run(
        [sys.executable, "-m", "bentoml", "build", "-o", "tag"],
        cwd=project, env=environ, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    return next((home / "bentos" / "flyweight").glob("*/bento.yaml")).parent


def test_bento_holds_what_serves_and_nothing_else(bento: Path, artifact: Artifact) -> None:
    source = bento / "src"
    packed = {str(path.relative_to(source)) for path in source.rglob("*") if path.is_file()}
    rooms = ("service", "contracts", "flyweight")
    expected = {str(path.relative_to(ROOT)) for room in rooms for path in (ROOT / room).rglob("*.py")}
    expected |= {f"service/scripts/{path.name}" for path in (ROOT / "service/scripts").glob("*.lua")}
    expected |= {f"service/swagger/{path.name}" for path in (ROOT / "service/swagger").iterdir()}
    expected |= {f"bundle/{artifact.path.name}/{path.name}" for path in artifact.path.iterdir()}
    assert packed == expected | {"bundle/promoted", "flyweight.toml", "bentofile.yaml"}


def test_bento_holds_no_pickle(bento: Path) -> None:
    assert pickles_in(bento) == []


def test_bento_starts_without_what_trains_and_serves_its_bundle(
    bento: Path, artifact: Artifact, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(REFUSE)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environ = {
        **os.environ, "PYTHONPATH": str(tmp_path), "BENTOML_HOME": str(tmp_path / "home"), "PORT": str(port),
        "FLYWEIGHT_STATE": str(tmp_path / "state"), "FLYWEIGHT_SERVICE_WORKERS": "1",
    }  # fmt: skip
    with subprocess.Popen(
        [sys.executable, "-m", "bentoml", "serve", str(bento)], cwd=tmp_path, env=environ
    ) as server:
        try:
            status = await_status(server, f"http://127.0.0.1:{port}/status")
        finally:
            server.terminate()
    assert status["artifact"]["version"] == artifact.version
    assert Path(status["artifact"]["path"]).is_relative_to(bento)


def await_status(server: subprocess.Popen, url: str) -> dict:
    deadline = time.monotonic() + 60
    while True:
        try:
            return json.load(urllib.request.urlopen(url, timeout=20))
        except OSError:
            assert server.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)


def test_image_without_an_engine_says_what_to_install(tmp_path: Path) -> None:
    environ = {**os.environ, "BACKEND": "no-such-engine"}
    ended = subprocess.run(["deploy/image/build"], cwd=ROOT, env=environ, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "no-such-engine" in ended.stderr and "apt-get install podman" in ended.stderr
