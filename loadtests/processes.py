"""The processes behind a service on this machine, and the CPU time that they took: what it really costs."""

import contextlib
from urllib.parse import urlsplit

import psutil

_LOCAL = ("127.0.0.1", "localhost", "::1", "0.0.0.0")


def service_processes(url: str) -> list[psutil.Process]:
    """Those that listen at the port of `url`, with their children; none where the service is on another machine or
    belongs to another user."""
    address = urlsplit(url)
    if address.hostname not in _LOCAL:
        return []
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            listens = any(
                c.status == psutil.CONN_LISTEN and c.laddr.port == address.port
                for c in process.net_connections("tcp")
            )
            if listens:
                found |= {p.pid: p for p in [process, *process.children(recursive=True)]}
    return list(found.values())


def cpu_seconds(processes: list[psutil.Process]) -> float:
    """User and system time that they have taken so far; what has ended meanwhile does not count."""
    total = 0.0
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system
    return total
