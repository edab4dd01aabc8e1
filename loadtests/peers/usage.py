"""What a contender takes of the machine: memory and connections of its whole process tree."""

import contextlib

import psutil


def memory_mb(processes: list[psutil.Process]) -> float:
    """Proportional set size in MB: a page that several processes share counts once in all."""
    total = 0
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            total += process.memory_full_info().pss
    return total / 1e6


def resident_mb(processes: list[psutil.Process]) -> float:
    """Resident set size in MB: a page that several processes share counts once for each."""
    total = 0
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            total += process.memory_info().rss
    return total / 1e6


def connections_held(processes: list[psutil.Process], port: int) -> list[int]:
    """How many connections to `port` each process serves right now; processes without any are left out."""
    counts = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            found = process.net_connections("tcp")
            counts.append(sum(c.status == psutil.CONN_ESTABLISHED and c.laddr.port == port for c in found))
    return [count for count in counts if count]
