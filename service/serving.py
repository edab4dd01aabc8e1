"""`flyweight serve`: BentoML's server as a child that ends with us, and ends whole."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from math import ceil
from pathlib import Path

import msgspec

from contracts.client_key import KEY_VARIABLE
from contracts.faults import Fault
from contracts.machine import cores
from contracts.pointer import POINTER
from contracts.sections import Paths, Settings
from contracts.settings import ARTIFACT_VARIABLE, CONFIG_VARIABLE, SHORT_VARIABLES, setting_keys, variable_of
from service import checked, logs
from service.lifetime import child_of, private_folder
from service.promoted import NothingPromoted, open_promoted
from service.roll_call import count_present
from service.watch import Watch

_ROOT = Path(__file__).resolve().parent.parent
_STOP_SECONDS = 20
"""After the drain; what is under way then takes less, if its client reads."""

_SECTIONS = ("paths", "service", "features", "events")


def serve(settings: Settings) -> int:
    """Serve in the foreground until SIGTERM or Ctrl-C; return the exit code of the verb.

    Raises `ArtifactFault` when nothing that can be served is promoted, unless that went into a JSON log.
    """
    log_format = logs.choose(settings.service.log_format)
    logs.take_over(log_format)
    service = msgspec.structs.replace(settings.service, log_format=log_format)  # all processes alike
    settings = msgspec.structs.replace(settings, service=service)
    try:
        _refuse_folder_without_promotion(settings.paths, os.environ)
        artifact = open_promoted(settings.paths, checked.open_checked)
        environment = server_environment(settings, os.environ)
        checked.tell(environment)
    except Fault as fault:
        if log_format == "text":  # the verb says it
            raise
        logs.VOICE.error("%s", fault)
        return fault.exit_code
    place = f"http://{settings.service.host}:{settings.service.port}"
    started = f"{artifact.name} {artifact.version} on {place}"
    if log_format == "text":
        print(f"flyweight: {started} (Ctrl-C stops)", flush=True)
    else:
        logs.VOICE.info("%s", started)
    command = [sys.executable, "-m", "bentoml", "serve", "service:Flyweight", "--working-dir", str(_ROOT)]
    server = subprocess.Popen(
        command,
        env=environment,
        start_new_session=True,  # a Ctrl-C reaches it once, through us
        preexec_fn=partial(child_of, os.getpid()),
    )
    stop = _Stop(server, ceil(settings.service.drain_seconds) + _STOP_SECONDS)
    workers = settings.service.workers or cores()
    count = partial(count_present, settings.paths.state, workers)
    watch = Watch(count, workers, settings.service.missing_worker_seconds, stop.for_want_of_workers)
    return _wait(server, stop, watch)


def _refuse_folder_without_promotion(paths: Paths, environ: Mapping[str, str]) -> None:
    """Whoever names a folder means it: where it was not mounted, what is packed must not serve in its stead."""
    if environ.get(ARTIFACT_VARIABLE) and not (paths.artifacts / POINTER).exists():
        raise NothingPromoted(
            f"{ARTIFACT_VARIABLE} says {paths.artifacts}, and there is no {POINTER} in it. Mount the folder that "
            f"has it, promote something there, or leave {ARTIFACT_VARIABLE} away to serve what is packed."
        )


def server_environment(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment in which the server reads exactly these settings, wherever they came from."""
    kept = {name: value for name, value in environ.items() if name not in {*SHORT_VARIABLES, KEY_VARIABLE}}
    told = {
        variable_of((section, key)): _as_text(getattr(getattr(settings, section), field.name))
        for (section, key), field in setting_keys().items()
        if section in _SECTIONS
    }
    private_folder(settings.paths.state)
    home = environ.get("BENTOML_HOME") or str(settings.paths.state / "bentoml")
    Path(home).mkdir(parents=True, exist_ok=True)
    told[CONFIG_VARIABLE] = os.devnull  # a file read there again could only differ
    return {**kept, **told, "BENTOML_HOME": home, "BENTOML_DO_NOT_TRACK": "True"}


def _as_text(value: object) -> str:
    return str(value) if isinstance(value, str | Path) else msgspec.json.encode(value).decode()


class _Stop:
    """Passes the first SIGTERM or Ctrl-C on; a second one, or too long a wait, kills."""

    def __init__(self, server: subprocess.Popen, patience_seconds: int) -> None:
        self._server = server
        self._patience_seconds = patience_seconds
        self.asked = False
        self.is_short_of_workers = False

    def pass_on(self, number: int, _: object) -> None:
        if self.asked:
            self.kill()
        else:
            self.asked = True
            self._server.send_signal(number)
            signal.alarm(self._patience_seconds)

    def for_want_of_workers(self, found: int) -> None:
        """End what is not whole, unless it is ending already."""
        if not self.asked:
            self.is_short_of_workers = True
            logs.VOICE.error(
                "only %d workers are there, and nobody replaced the missing; the lines above say why they died. "
                "Stopping with exit code 4, so that whoever runs this starts it whole again.",
                found,
            )
            self.pass_on(signal.SIGTERM, None)

    def kill(self, *_: object) -> None:
        logs.VOICE.warning("what is left of the service is killed")
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._server.pid, signal.SIGKILL)  # its workers and its Redis die with it


def _wait(server: subprocess.Popen, stop: _Stop, watch: Watch) -> int:
    """0 when the server ended because it was asked to, 2 when it refused to start, else 4."""
    signal.signal(signal.SIGTERM, stop.pass_on)
    signal.signal(signal.SIGINT, stop.pass_on)
    signal.signal(signal.SIGALRM, stop.kill)
    watch.start()
    code = server.wait()
    watch.end()
    signal.alarm(0)
    if stop.asked:
        return 4 if stop.is_short_of_workers else 0
    return code if code == 2 else 4
