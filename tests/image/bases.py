"""What the image is built on: the official Python where it can be fetched, else one made of Debian's packages; and
beside it one that holds every package, so that nothing is fetched while the image is built."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.image.engine import Engine, NoEngine, call

OFFICIAL, OWN, WHEELHOUSE = "python:3.11-slim", "localhost/flyweight-base:3.11", "localhost/flyweight-build:3.11"
_IMAGE = Path(__file__).parents[2] / "deploy" / "image"


def base_image(engine: Engine, folder: Path) -> str:
    """The name of an image with Python 3.11. Raises `NoEngine` where none can be had."""
    wanted = os.environ.get("BASE_IMAGE") or OFFICIAL
    for name in (wanted, OWN):
        if engine.has(name):
            return name
    if wanted != OFFICIAL:
        raise NoEngine(f"the base image {wanted} cannot be fetched")
    if not shutil.which("mmdebstrap"):
        subprocess.run(["apt-get", "install", "-y", "--no-install-recommends", "mmdebstrap"], capture_output=True)
    if not shutil.which("mmdebstrap"):
        raise NoEngine(f"{OFFICIAL} cannot be fetched, and mmdebstrap, which makes another, is not there")
    print(f"base   {OFFICIAL} cannot be fetched; one is made of Debian's packages", flush=True)
    bare = [f"--dpkgopt=path-exclude=/usr/share/{part}/*" for part in ("man", "doc", "locale")]
    archive = folder / "base.tar"
    call("mmdebstrap", "--variant=minbase", "--include=python3,ca-certificates", *bare, "bookworm", archive)
    engine.add(archive, OWN)
    return OWN


def wheelhouse_image(engine: Engine, base: str, folder: Path) -> str:
    """`base` with every package in it, fetched by this machine's pip and held against the locked hashes."""
    wheels = folder / "wheelhouse"
    for name in ("requirements.txt", "build-requirements.txt"):
        locked = ("--require-hashes", "--no-deps", "--only-binary", ":all:", "-r", _IMAGE / name)
        call(sys.executable, "-m", "pip", "download", "--quiet", *locked, "--dest", wheels)
    engine.build(_IMAGE / "wheelhouse.Containerfile", folder, WHEELHOUSE, BASE_IMAGE=base)
    return WHEELHOUSE
