"""The bridge: from trained runs to measured, promoted artifacts. Sees both training and serving."""

import os

# As in service/__init__.py, for what imports onnxruntime without it.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
