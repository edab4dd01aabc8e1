"""Schemathesis asks a real service what its description allows and what it forbids, and holds it to every word."""

import signal
from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from contracts.pointer import move_pointer
from service.openapi import openapi_document
from service.routes import PREDICT
from tests.service.test_server import OURS, Server, launch, stop

EXAMPLES = 200
"""Per route, beside the cases that Schemathesis derives from the limits in the description."""

PROTOCOL_EXAMPLES = 30
"""The same, per path of the inference protocol: they are many, and its own corpus is in test_infer_requests.py."""

PROTOCOL = "^/v2"

REFUSALS = ["4xx", "5xx"]
"""What is wrong may be refused as too large (413, 431) before it is read, which Schemathesis does not expect."""

_CHECKS = {"negative_data_rejection": {"expected-statuses": REFUSALS}}
_CONFIG = SchemathesisConfig.from_dict({"seed": 1, "checks": _CHECKS})
described = schemathesis.openapi.from_dict(openapi_document(), config=_CONFIG)


@described.hook
def map_body(context: schemathesis.HookContext, body: object) -> object:
    """To JSON Schema 7.0 is an integer too, and no schema can say that we want it written as 7."""
    if isinstance(body, dict):
        return {name: map_body(context, value) for name, value in body.items()}
    if isinstance(body, list):
        return [map_body(context, value) for value in body]
    is_written_otherwise = isinstance(body, float) and body.is_integer() and abs(body) < 2**53
    return int(body) if is_written_otherwise else body


served: dict[str, str] = {}
"""Name and version of the model that serves."""


@pytest.fixture(scope="module")
def server(tiny, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("described")
    artifact = tiny.seal(root / "artifacts")
    move_pointer(root / "artifacts", artifact.path)
    served.update(model=artifact.manifest.rung, version=artifact.version)
    server = launch(OURS, root)
    yield server
    stop(server, signal.SIGKILL)


def test_description_that_is_served_is_the_one_held_against(server: Server) -> None:
    assert server.call("/openapi.json") == (200, openapi_document())


usual = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,  # latency is not what is asked here
    suppress_health_check=list(HealthCheck),
)


@described.exclude(path_regex=PROTOCOL).parametrize()
@usual
def test_every_answer_is_one_that_is_described(case: schemathesis.Case, server: Server) -> None:
    case.call_and_validate(base_url=server.url, excluded_checks=beyond_schemas(case))


@described.include(path_regex=PROTOCOL).parametrize()
@settings(usual, max_examples=PROTOCOL_EXAMPLES)
def test_every_answer_in_the_protocol_is_one_that_is_described(case: schemathesis.Case, server: Server) -> None:
    if case.path.endswith(("/infer", "/catalog")):  # a made-up name is never that of the model
        case.path_parameters |= {name: served[name] for name in case.path_parameters}
    case.call_and_validate(base_url=server.url, excluded_checks=beyond_schemas(case))


def beyond_schemas(case: schemathesis.Case) -> list:
    """Checks that ask more of a schema than it can say."""
    checks = []
    if case.path != PREDICT:  # for one, which types of events there are is a setting
        checks.append(positive_data_acceptance)
    if set(case.headers) - {parameter.name for parameter in case.operation.headers}:  # anybody may send more
        checks.append(negative_data_rejection)
    return checks
