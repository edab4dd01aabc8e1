"""Crash sites, one for each step. CRASH_SEED=N repeats the kills of an earlier run, which says its N."""

import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the modules here are no package

from crash_site import CrashSite
from writing_steps import STEPS

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
SETTINGS_OF_OTHERS = ("FLYWEIGHT_", "REDIS_URL", "PORT")
PLAIN = {name: value for name, value in os.environ.items() if not name.startswith(SETTINGS_OF_OTHERS)}


@pytest.fixture(scope="session")
def warm() -> Iterator[Callable[[tuple[str, ...]], subprocess.Popen]]:
    """The processes whose children do the steps, by what they imported: one with torch forks slowly."""
    started = []

    @cache
    def start(slow: tuple[str, ...]) -> subprocess.Popen:
        program = [sys.executable, str(Path(__file__).parent / "warm.py"), *slow]
        pipe = subprocess.PIPE
        process = subprocess.Popen(program, stdin=pipe, stdout=pipe, env=PLAIN | ONE_THREAD)
        started.append(process)
        return process

    yield start
    for process in started:
        process.communicate(timeout=10)


@pytest.fixture(scope="session")
def crash_site(warm, tmp_path_factory):
    """Gives the crash site of a step."""
    seed = int(os.environ.get("CRASH_SEED") or random.randrange(10**6))

    @cache
    def site(step: str) -> CrashSite:
        return CrashSite(warm(STEPS[step].slow), step, tmp_path_factory.mktemp("crash"), seed)

    def site_and_seed(step: str) -> CrashSite:
        print(f"CRASH_SEED={seed}")
        return site(step)

    return site_and_seed
