"""What a worker answers on the paths of the protocol. One answer comes from one artifact, and says which."""

from collections.abc import Awaitable, Callable
from functools import partial
from urllib.parse import parse_qsl

import msgspec
import numpy as np

from contracts.graph import EXCLUDED, HISTORY, ITEMS, SCORES, K
from service.deadlines import Overdue
from service.errors import InvalidRequest, NotFound, Stopping, UnsupportedMediaType
from service.exchange import JSON, Exchange, Reply, check_media_type
from service.inference_protocol import paths
from service.inference_protocol.answers import OCTETS, infer_reply
from service.inference_protocol.descriptions import model_config, model_metadata, server_metadata
from service.inference_protocol.requests import HEADER_LENGTH, parse_infer
from service.inference_protocol.tensors import Form
from service.rollout import Serving
from service.worker import Worker

CATALOG_PAGE = 10_000
"""Ids in one answer: a few hundred kilobytes, which hold up nobody."""

_LONGEST_NAME = 100  # that is said back
_MAX_DIGITS = 15
_MEDIA_TYPES = (b"", JSON, OCTETS)
"""Triton's clients announce none."""

_HEADER_LENGTH = HEADER_LENGTH.lower().encode()

Answer = Callable[[Exchange], Awaitable[Reply]]


def protocol_answers(worker: Worker, version: str) -> dict[str, Answer]:
    """What answers each path; `version` is that of the API."""
    of_model: dict[str, Callable[[Serving], object]] = {
        "": partial(model_metadata, max_batch=worker.settings.service.max_batch),
        "/ready": _readiness,
        "/config": model_config,
    }
    answers: dict[str, Answer] = {
        paths.SERVER: partial(_say, lambda: server_metadata(version)),
        paths.LIVE: partial(_say, lambda: {"live": True}),
        paths.READY: partial(_ready, worker),
        paths.MODELS: partial(_say, lambda: {"models": [worker.rollout.current.model.name]}),
        paths.INDEX: partial(_say, lambda: _index(worker.rollout.current)),
        paths.CATALOG: partial(_catalog, worker),
    }
    for path in (paths.MODEL, paths.VERSION):
        answers |= {path + end: partial(_say_of_model, worker, what) for end, what in of_model.items()}
        answers[path + "/infer"] = partial(_infer, worker)
    return answers


async def _say(what: Callable[[], object], exchange: Exchange) -> Reply:
    return Reply(msgspec.json.encode(what()))


async def _ready(worker: Worker, exchange: Exchange) -> Reply:
    if not worker.is_ready:
        raise Stopping("the service is stopping; ask another one")
    return Reply(b'{"ready":true}')


async def _say_of_model(worker: Worker, what: Callable[[Serving], object], exchange: Exchange) -> Reply:
    return Reply(msgspec.json.encode(what(_serving(worker, exchange))))


def _readiness(serving: Serving) -> dict:
    return {"name": serving.model.name, "ready": True}


def _index(serving: Serving) -> list[dict]:
    return [{"name": serving.model.name, "version": serving.model.version, "state": "READY", "reason": ""}]


def _serving(worker: Worker, exchange: Exchange) -> Serving:
    """What serves, where the path names it. Raises `NotFound` for any other model, or another version of it."""
    asked, serving = exchange.scope["path_params"], worker.rollout.current
    name, version = serving.model.name, serving.model.version
    if asked["model"] != name:
        raise NotFound(f"there is no model {asked['model'][:_LONGEST_NAME]!r}; there is {name}")
    if asked.get("version", version) != version:
        found = asked["version"][:_LONGEST_NAME]
        raise NotFound(f"{name} has no version {found!r} here; there is {version}")
    return serving


async def _catalog(worker: Worker, exchange: Exchange) -> Reply:
    serving = _serving(worker, exchange)
    first = _first(exchange.scope.get("query_string", b""))
    ids = serving.catalog.item_ids
    page = {
        "model_name": serving.model.name,
        "model_version": serving.model.version,
        "items": len(ids),
        "first": first,
        "item_ids": ids[first : first + CATALOG_PAGE],
    }
    return Reply(msgspec.json.encode(page), headers=serving.headers)


def _first(query: bytes) -> int:
    """The index that a page of the catalog begins with."""
    given = dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True)).get("first", "0")
    if not (given.isascii() and given.isdigit() and len(given) <= _MAX_DIGITS):
        found = given[:_LONGEST_NAME]
        raise InvalidRequest(
            f"first is {found!r}; expected the item index to begin with, a whole number from 0 up"
        )
    return int(given)


async def _infer(worker: Worker, exchange: Exchange) -> Reply:
    worker.batcher.enter()  # first, as /predict does
    try:
        _check_encoding(exchange)
        body = await worker.read_body(exchange)
        serving = _serving(worker, exchange)
        form = Form.of(serving, worker.settings.service.max_batch)
        inference = parse_infer(body, exchange.headers.get(_HEADER_LENGTH), form)
        inputs = inference.inputs
        work = partial(_predict, serving, inputs)
        parts = await worker.answer_deadline.wait(worker.batcher.run_between(work, len(inputs[HISTORY])))
    except Overdue:
        raise worker.expired() from None
    finally:
        worker.batcher.leave()
    items, scores = (np.concatenate(each) for each in zip(*parts, strict=True))
    return infer_reply(inference, {ITEMS: items, SCORES: scores}, serving)


def _check_encoding(exchange: Exchange) -> None:
    check_media_type(exchange.headers.get(b"content-type", b""), _MEDIA_TYPES)
    encoding = exchange.headers.get(b"content-encoding", b"identity")
    if encoding.strip().lower() != b"identity":
        found = encoding[:_LONGEST_NAME].decode("latin-1")
        raise UnsupportedMediaType(f"Content-Encoding is {found}; expected none")


def _predict(
    serving: Serving, inputs: dict[str, np.ndarray], first: int, end: int
) -> tuple[np.ndarray, np.ndarray]:
    """The outputs for some of the rows. What shares a batch never changes an answer, so they may be any."""
    return serving.predictor.predict(inputs[HISTORY][first:end], inputs[EXCLUDED][first:end], int(inputs[K][0]))
