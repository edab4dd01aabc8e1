"""OpenTelemetry traces, where the environment names an OTLP endpoint; else nothing of it is imported.

The standard variables hold, as the SDK reads them. OTEL_EXPORTER_OTLP_ENDPOINT, or the one for traces alone, turns
them on; OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_SAMPLER, OTEL_BSP_* and the rest say how.
"""

import logging
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from service.spans import Spans

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_SPOKEN = "http/protobuf"

_LOG = logging.getLogger(__name__)


class BatchTimings(NamedTuple):
    """When the stages of a batch ended, of `time.perf_counter`, and how many requests it had."""

    size: int
    began: float
    read: float
    encoded: float
    predicted: float
    decoded: float


def are_wanted(environ: Mapping[str, str]) -> bool:
    """Whether an endpoint is named, and nothing switches the SDK or its traces off."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    if environ.get("OTEL_TRACES_EXPORTER", "").strip().lower() == "none":
        return False
    return any(environ.get(name, "").strip() for name in _ENDPOINTS)


def open_traces(environ: Mapping[str, str] = os.environ) -> "Spans | None":
    """What notes a span per request, in a process that answers some; None where nobody asked for that.

    A variable that cannot be used costs the traces, not the service: the log says so.
    """
    if not are_wanted(environ):
        return None
    named = next(filter(None, (environ.get(name) for name in _PROTOCOLS)), _SPOKEN)
    if named != _SPOKEN:
        _LOG.warning("spans are sent as %s; %s, as a variable asks, is not spoken here", _SPOKEN, named)
    try:
        from service.spans import Spans

        return Spans()
    except Exception:
        _LOG.exception("there will be no traces: the OTEL_ variables cannot be used")
        return None
