"""The container engine of this machine, and what it needs here: some may make neither networks nor limits."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

_CONFINED_RUN = ("--network", "host", "--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096")
_CONFINED_BUILD = ("isolation=chroot", "network=host")

Tried = TypeVar("Tried")


class NoEngine(Exception):
    pass


class Engine:
    """`builder` builds and `runner` runs, both on the same images; `try_out` finds how."""

    def __init__(self, builder: str, runner: str) -> None:
        self.builder = builder
        self.build_options: tuple[str, ...] = ()
        self._runner = [runner]
        self._run_options: tuple[str, ...] = ()

    def try_out(self, image: str, context: Path) -> None:
        """Find the options with which an image is built and a container starts here. Raises `NoEngine`."""
        file = context / "Containerfile"
        file.write_text(f"FROM {image}\nRUN true\n")
        builds = {
            options: partial(self.build, file, context, "flyweight-try", ("no-cache", *options))
            for options in ((), _CONFINED_BUILD)
        }
        self.build_options = _first_that_works(builds)
        runtimes = [[], ["--runtime", "runc"]] if self._runner == ["podman"] else [[]]
        runs = {}
        for options in ((), _CONFINED_RUN):
            for runtime in runtimes:
                tried = (tuple(self._runner + runtime), options)
                runs[tried] = partial(call, *tried[0], "run", "--rm", *options, "--entrypoint", "true", image)
        runner, self._run_options = _first_that_works(runs)
        self._runner = list(runner)

    def build(
        self, file: Path, context: Path, tag: str, options: tuple[str, ...] | None = None, **arguments: str
    ) -> None:
        chosen = [f"--{option}" for option in (self.build_options if options is None else options)]
        given = [part for name, value in arguments.items() for part in ("--build-arg", f"{name}={value}")]
        call(self.builder, "build", *chosen, "--file", file, *given, "--tag", tag, context)

    def has(self, image: str) -> bool:
        """It is here, or can be fetched."""
        here = _succeeds(*self._runner, "image", "inspect", image)
        return here or _succeeds(*self._runner, "pull", "--quiet", image)

    def add(self, archive: Path, image: str) -> None:
        """An image of one layer: what `archive` (tar) holds."""
        call(*self._runner, "import", archive, image)

    def inspect(self, kind: str, name: str) -> dict:
        return json.loads(call(*self._runner, kind, "inspect", name))[0]

    def start(
        self, name: str, image: str, port: int, *options: str, command: tuple[str, ...] = (), **environ: str
    ) -> None:
        """Run `image` in the background so that it is reached at `port` of this machine."""
        on_host = "host" in self._run_options
        place = ["-e", f"PORT={port}"] if on_host else ["-p", f"127.0.0.1:{port}:3000"]
        told = [part for key, value in environ.items() for part in ("-e", f"{key}={value}")]
        run = [*self._runner, "run", "--detach", "--name", name, *self._run_options]
        call(*run, *place, *told, *options, image, *command)

    def inside(self, name: str, *command: str) -> subprocess.CompletedProcess:
        return subprocess.run([*self._runner, "exec", name, *command], capture_output=True, text=True)

    def stop(self, name: str, seconds: int = 40) -> int:
        """SIGTERM; the exit code."""
        call(*self._runner, "stop", "--time", seconds, name)
        return self.inspect("container", name)["State"]["ExitCode"]

    def remove(self, *names: str) -> None:
        _succeeds(*self._runner, "rm", "--force", "--volumes", *names)

    def remove_volume(self, name: str) -> None:
        _succeeds(*self._runner, "volume", "rm", "--force", name)

    def logs(self, name: str) -> str:
        ended = subprocess.run([*self._runner, "logs", name], capture_output=True, text=True)
        return ended.stdout + ended.stderr


def find_engine() -> Engine:
    """The engine that BACKEND names, or the first that works; Debian's podman where it may be installed.

    Raises `NoEngine`.
    """
    wanted = [os.environ["BACKEND"]] if os.environ.get("BACKEND") else ["docker", "podman", "buildah"]
    if not any(map(_works, wanted)) and os.geteuid() == 0 and shutil.which("apt-get"):
        print("apt    podman and buildah are being installed", flush=True)
        packages = ("buildah", "podman", "crun", "runc", "netavark", "uidmap")
        _succeeds("apt-get", "install", "-y", "--no-install-recommends", *packages)
    found = [name for name in wanted if _works(name)]
    if not found:
        raise NoEngine(f"none of {', '.join(wanted)} works here. Install one: apt-get install podman buildah")
    if found[0] == "docker":
        return Engine("docker", "docker")
    if not _works("podman"):
        raise NoEngine("buildah builds, but nothing runs what it built. Install it: apt-get install podman")
    return Engine(found[0], "podman")


def call(*command: object) -> str:
    ended = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if ended.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}\nended with {ended.returncode}: {ended.stderr[-2000:]}")
    return ended.stdout.strip()


def _succeeds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True).returncode == 0


def _works(name: str) -> bool:
    return shutil.which(name) is not None and _succeeds(name, "info")


def _first_that_works(tries: dict[Tried, Callable[[], object]]) -> Tried:
    said = ""
    for tried, go in tries.items():
        try:
            go()
            return tried
        except RuntimeError as error:
            said = str(error)
    raise NoEngine(f"no container can be built and started here; the last try said: {said[-400:]}")
