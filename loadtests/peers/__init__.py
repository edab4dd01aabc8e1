"""`make bench`: this service beside services that a good engineer would write without it.

The one part of the load tests that may import `service` and `contracts`: the peers must answer from the same
artifact and the same Redis.
"""

WORKERS = 2
"""Processes of every contender, as many as the machine of the published figures has cores."""

ARTIFACT_VARIABLE = "BENCH_ARTIFACT"
"""Tells a peer which sealed directory to serve."""
