"""The service. `service:Flyweight` is what BentoML serves; nothing is started by importing the package."""

import os

# Before onnxruntime is imported: its builds tell Microsoft about the machine unless told not to.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def __getattr__(name: str) -> object:
    """Load BentoML only for who asks for the service: measuring and evaluating need the predictor alone."""
    if name == "Flyweight":
        from service.api import Flyweight

        return Flyweight
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
