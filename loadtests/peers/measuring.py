"""One contender under one number of connections: a pass that looks at every answer, then the one that is timed."""

import re
import threading
import urllib.request
from pathlib import Path

import msgspec

from contracts.faults import RunNotValid
from loadtests.peers import wrk
from loadtests.peers.contenders import OURS, Running
from loadtests.peers.figures import Measured
from loadtests.peers.usage import connections_held, memory_mb
from loadtests.peers.world import USERS
from loadtests.processes import cpu_seconds

_PREDICT_SECONDS = re.compile(r'^flyweight_stage_duration_seconds_sum\{stage="predict"\} (\S+)$', re.MULTILINE)
_FALLBACKS = re.compile(r"^flyweight_fallbacks_total\{.*\} (\S+)$", re.MULTILINE)
_CHECK_SECONDS = 2


def measure(
    contender: Running, model: str, *, connections: int, seconds: int, round_: int, ids: Path | None = None
) -> Measured:
    """`ids`: a file of user ids as in `wrk.load`; without it, the users that the bench makes up.

    Raises `RunNotValid` when the answers are not what was asked for, or there are none.
    """
    asked = {"connections": connections, "users": USERS, "ids": ids}
    wrk.check(contender.url, seconds=min(_CHECK_SECONDS, seconds), **asked)
    ours = contender.name in OURS
    family = contender.family()
    predict_before, fallbacks_before = own_metrics(contender.url) if ours else (0.0, 0.0)
    cpu_before = cpu_seconds(family)
    held: list[int] = []
    sampler = threading.Timer(seconds / 2, lambda: held.extend(connections_held(family, contender.port)))
    sampler.start()
    found, generator = wrk.load(contender.url, seconds=seconds, **asked)
    cpu = cpu_seconds(family) - cpu_before
    sampler.join()
    predict, fallbacks = own_metrics(contender.url) if ours else (0.0, 0.0)
    answers = max(found.answers, 1)
    return Measured(
        model=model,
        contender=contender.name,
        connections=connections,
        round=round_,
        answers=found.answers,
        rps=found.rps,
        p50_ms=found.p50_us / 1e3,
        p99_ms=found.p99_us / 1e3,
        p90_ms=found.p90_us / 1e3,
        max_ms=found.max_us / 1e3,
        errors=found.errors,
        fallbacks=round(fallbacks - fallbacks_before) if ours else None,
        unanswered=wrk.unanswered(found, connections),
        cpu_us=cpu / answers * 1e6,
        cpu_us_beside_predict=(cpu - predict + predict_before) / answers * 1e6 if ours else None,
        memory_mb=memory_mb(family),
        busiest_worker=max(held) / sum(held) if held else 0.0,
        generator_cores=generator / (found.duration_us / 1e6),
    )


def refuse_another(url: str, version: str) -> None:
    """Raise `RunNotValid` unless the service at `url` serves the artifact of this version. One that it cannot
    serve gives way to what was promoted before, and all figures would be of that."""
    with urllib.request.urlopen(f"{url}/status", timeout=10) as response:
        served = msgspec.json.decode(response.read())["artifact"]["version"]
    if served != version:
        raise RunNotValid(f"the service answers with artifact {served}, expected {version}; its log says why.")


def own_metrics(url: str) -> tuple[float, float]:
    """Seconds in the predict stage and answers that the model did not give, of all workers so far."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as response:
        text = response.read().decode()
    return sum(map(float, _PREDICT_SECONDS.findall(text))), sum(map(float, _FALLBACKS.findall(text)))
