"""The BentoML service: one application per worker, and what is started once for all of them."""

import atexit
import contextlib
import os
import sys
from pathlib import Path

os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")

import bentoml

from contracts import durable
from contracts.faults import Fault, UsageFault
from contracts.machine import cores
from contracts.settings import Settings, read_settings, variable_of
from service import checked, doorway, logs, roll_call, shortcut
from service.api_keys import exposure
from service.app import create_app, predict_endpoint
from service.embedded_redis import embedded_redis
from service.fast_lane import open_fast_lane
from service.feature_cache import open_feature_cache
from service.image import image
from service.lifetime import child_of, private_folder
from service.memory import give_back
from service.promoted import open_promoted
from service.redis_clients import connect_async
from service.rollout import load
from service.routes import PREDICT
from service.worker import ANSWER_SECONDS, Worker

_PARENT_VARIABLE = "SERVICE_PARENT_PID"
"""Set by the parent for its workers: BentoML's do not notice when it is killed, and would serve on alone."""

_CONTAINER_VARIABLE = "BENTOML_CONTAINERIZED"
"""Set in BentoML's images: its parent then replaces no worker that died, and ends only with the last of them."""

if _PARENT_VARIABLE in os.environ:
    child_of(int(os.environ[_PARENT_VARIABLE]))


def _exit_with(fault: Fault) -> None:
    logs.VOICE.error("%s", fault)
    sys.exit(fault.exit_code)


def _read_settings() -> Settings:
    try:
        return read_settings()
    except Fault as fault:
        logs.take_over(logs.choose("auto"))  # nobody knows what was set
        _exit_with(fault)


_settings = _read_settings()
if _PARENT_VARIABLE in os.environ:
    logs.take_over(logs.choose(_settings.service.log_format))
_workers = _settings.service.workers or cores()
_redis_url = _settings.features.redis_url or f"unix://{_settings.paths.state / 'redis.sock'}"
_worker = Worker(
    _settings,
    open_feature_cache(_redis_url, _settings.features),
    connect_async(_redis_url, cluster=_settings.features.cluster, timeout_ms=_settings.events.timeout_ms),
)
_app = create_app(_worker)


@bentoml.service(
    name="flyweight",
    image=image(),
    workers=_workers,
    http={"host": _settings.service.host, "port": _settings.service.port},
    # BentoML's metrics are labelled with the raw path and grow with every scan, its access log and its
    # spans cost more than a prediction. Its timeout keeps a timer per request for all that time, so it
    # stands just behind our own limits, where it never fires.
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
    tracing={"excluded_urls": [".*"]},
    traffic={"timeout": _settings.service.body_timeout_ms / 1000 + ANSWER_SECONDS + 2},
)
@bentoml.asgi_app(_app, path="/")
class Flyweight:
    """What next for this user?"""

    async def __is_ready__(self) -> bool:
        return _worker.is_ready

    @bentoml.on_deployment
    @staticmethod
    def prepare() -> None:
        """Once, in the parent of all workers: check the artifact, hold the state folder, start Redis."""
        logs.take_over(log_format := logs.choose(_settings.service.log_format))
        os.environ[variable_of(("service", "log-format"))] = log_format  # all processes alike
        try:
            open_promoted(_settings.paths, load)
            checked.tell(os.environ)
            give_back()  # what it took to look, 270 MB at ten million items, would stay for ever
            if warning := exposure(_settings.service.host, _worker.keys):
                logs.VOICE.warning("%s", warning)
            owned = contextlib.ExitStack()
            atexit.register(owned.close)  # after the workers have ended
            owned.enter_context(_sole_service(_settings.paths.state))
            if not _settings.features.redis_url:
                url = owned.enter_context(embedded_redis(_settings.paths.state, wait=True))
                os.environ[variable_of(("features", "redis-url"))] = url  # workers inherit it
            os.environ[_PARENT_VARIABLE] = str(os.getpid())
            os.environ.pop(_CONTAINER_VARIABLE, None)
        except Fault as fault:
            _exit_with(fault)


doorway.before_routes(Flyweight, _app, _worker.drain, shortcuts=(PREDICT,))
shortcut.behind_middlewares(Flyweight, PREDICT, predict_endpoint(_worker))
if _PARENT_VARIABLE in os.environ:  # in a worker
    _worker.presence = roll_call.present(_settings.paths.state, _workers)
    if _settings.service.shortcut:  # its server is ours to change
        open_fast_lane(_worker)


@contextlib.contextmanager
def _sole_service(state: Path):
    private_folder(state)
    try:
        with durable.lock(state / "service.lock", wait=False):
            yield
    except BlockingIOError:
        raise UsageFault(
            f"another service holds the state folder {state}. Stop it, or give this one a folder "
            "of its own with FLYWEIGHT_STATE."
        ) from None
