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
                found |= {p.pid: p for p in family_of(process.pid)}
    return list(found.values())


def cpu_seconds(processes: list[psutil.Process]) -> float:
    """User and system time that they have taken so far. What has ended does not count; see `all_alive`."""
    total = 0.0
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def all_alive(processes: list[psutil.Process]) -> bool:
    """Whether none has ended meanwhile; one that has took the time that it had taken with it."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return all(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes)
    return False


def family_of(pid: int) -> list[psutil.Process]:
    """A process, its children and theirs, whatever groups and sessions they lead; empty when it is gone."""
    with contextlib.suppress(psutil.NoSuchProcess):
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    return []


def kill(processes: list[psutil.Process]) -> None:
    """Those that still run; a process that only has the number of one that is gone is left alone."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
