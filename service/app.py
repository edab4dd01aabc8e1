"""The routes of one worker, as a Starlette application that BentoML mounts at `/`."""

from collections.abc import Awaitable, Callable
from functools import partial

import msgspec
from starlette.applications import Starlette
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.routing import Route

from service import docs_page
from service.errors import MethodNotAllowed, NotFound
from service.exchange import Endpoint, Exchange, Reply
from service.inference_protocol import paths
from service.inference_protocol.answering import protocol_answers
from service.inference_protocol.answers import error_in_protocol
from service.openapi import API_VERSION, openapi_document
from service.pages import Metrics, index, status
from service.routes import DOCS_FILE, NEEDS, OTHER, PREDICT, ROUTES, USERS
from service.worker import Worker


class _Any(StringConvertor):
    """A part of a path that may hold anything: an id has slashes and line feeds if it likes."""

    regex = r"[\s\S]*"


register_url_convertor("any", _Any())


def create_app(worker: Worker) -> Starlette:
    """The application of one worker. The last route catches every other path, to keep one error shape."""
    answers: dict[str, Callable[[Exchange], Awaitable[Reply]]] = {
        PREDICT: worker.predict,
        "/events": worker.events,
        USERS: worker.forget,
        "/status": partial(status, worker),
        "/metrics": Metrics(),
        "/openapi.json": _openapi,
        "/docs": docs_page.page,
        DOCS_FILE: docs_page.file,
        "/": partial(index, worker),
    }

    def endpoint(path: str, answer: Callable[[Exchange], Awaitable[Reply]]) -> Endpoint:
        return Endpoint(path, answer, worker, worker.keys.gate(NEEDS[path]))

    routes = [
        Route(path.replace("}", ":any}"), endpoint(path, answer), methods=[ROUTES[path]])
        for path, answer in answers.items()
    ]
    routes += _protocol_routes(worker)
    routes.append(Route("/{path:path}", nowhere_endpoint(worker)))
    app = Starlette(routes=routes, lifespan=worker.lifespan)
    app.router.default = nowhere_endpoint(worker)  # to routing, a path begins with a slash and holds no line feed
    return app


def _protocol_routes(worker: Worker) -> list[Route]:
    """The Open Inference Protocol; also where it has nothing, errors have its shape."""
    routes = []
    for path, answer in protocol_answers(worker, API_VERSION).items():
        gate = worker.keys.gate(NEEDS[path])
        endpoint = Endpoint(path, answer, worker, gate, as_reply=error_in_protocol)
        routes.append(Route(path, endpoint, methods=[ROUTES[path]]))
    nowhere = Endpoint(OTHER, _refuse, worker, as_reply=error_in_protocol)
    return [*routes, Route(paths.SERVER, nowhere), Route(paths.SERVER + "/{rest:any}", nowhere)]


def predict_endpoint(worker: Worker) -> Endpoint:
    """/predict alone, for the short way to it."""
    return Endpoint(PREDICT, worker.predict, worker, worker.keys.gate(NEEDS[PREDICT]))


def nowhere_endpoint(worker: Worker) -> Endpoint:
    """What answers where there is nothing."""
    return Endpoint(OTHER, _refuse, worker)


async def _refuse(exchange: Exchange) -> Reply:
    path, method = exchange.scope["path"], exchange.scope["method"]
    prefixed = next((each for each in (USERS, DOCS_FILE) if path.startswith(each.partition("{")[0])), path)
    route = paths.template_of(path) or prefixed
    if route in ROUTES:
        raise MethodNotAllowed(f"{route} takes {ROUTES[route]}, not {method}", ROUTES[route])
    in_protocol = paths.is_of_protocol(path)
    known = [each for each in ROUTES if each == paths.SERVER or paths.is_of_protocol(each) == in_protocol]
    raise NotFound(f"there is nothing at this path; there is {', '.join(known)}")


async def _openapi(exchange: Exchange) -> Reply:
    return Reply(msgspec.json.encode(openapi_document()))
