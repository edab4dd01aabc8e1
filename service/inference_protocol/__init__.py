"""The Open Inference Protocol, version 2, as KServe's and Triton's clients speak it: raw tensors over HTTP.

Docs: docs/inference-protocol.md.
"""
