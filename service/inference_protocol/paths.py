"""The paths of the protocol, each with its method and the kind of key that it takes."""

import re

from service.api_keys import Needs

SERVER = "/v2"
LIVE = "/v2/health/live"
READY = "/v2/health/ready"
MODELS = "/v2/models"
INDEX = "/v2/repository/index"

MODEL = "/v2/models/{model}"
VERSION = "/v2/models/{model}/versions/{version}"

CATALOG = VERSION + "/catalog"
"""Ours, not the protocol's: which item an index means. It takes a version, for each has its own."""

PATHS: dict[str, str] = {
    SERVER: "GET",
    LIVE: "GET",
    READY: "GET",
    MODELS: "GET",
    INDEX: "POST",
    MODEL: "GET",
    MODEL + "/ready": "GET",
    MODEL + "/config": "GET",
    MODEL + "/infer": "POST",
    VERSION: "GET",
    VERSION + "/ready": "GET",
    VERSION + "/config": "GET",
    VERSION + "/infer": "POST",
    CATALOG: "GET",
}

PATH_NEEDS: dict[str, Needs] = {path: "none" if path in (LIVE, READY) else "api" for path in PATHS}

_PATTERNS = {path: re.compile(re.sub(r"\{\w+\}", "[^/]+", path)) for path in PATHS}


def is_of_protocol(path: str) -> bool:
    """Whether errors here have the protocol's shape."""
    return path == SERVER or path.startswith(SERVER + "/")


def template_of(path: str) -> str | None:
    """The one of `PATHS` that a path is an instance of."""
    return next((known for known, pattern in _PATTERNS.items() if pattern.fullmatch(path)), None)
