"""What machine this is: the cores we may use, and a short name to keep figures of machines apart."""

import hashlib
import math
import os
import platform
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
OWN_CGROUP = Path("/proc/self/cgroup")


def cores(cgroup: Path = CGROUP, own: Path = OWN_CGROUP) -> int:
    """CPU cores this process may use: the cgroup's quota (v2 or v1) where one is set, else its affinity.

    In version 2 the smallest quota counts of all groups from the root down to the process's own.

    A container with a quota of two cores on a host of 64 gets 2. At least 1; a fraction is rounded up.
    """
    allowed = len(os.sched_getaffinity(0))
    quotas = [quota for folder in _groups(cgroup, own) if (quota := _cgroup_quota(folder))]
    return max(1, min(allowed, *map(math.ceil, quotas))) if quotas else allowed


def _groups(root: Path, own: Path) -> list[Path]:
    """The folders of the groups that hold this process, the root first."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return [root]
    path = next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), "")
    inner = [part for part in Path(path).parts if part != ".."]
    return [root.joinpath(*inner[:depth]) for depth in range(len(inner) + 1)]


def _cgroup_quota(root: Path) -> float | None:
    try:
        limit, period = (root / "cpu.max").read_text().split()
        return None if limit == "max" else int(limit) / int(period)
    except (OSError, ValueError):
        pass
    try:
        limit = int((root / "cpu/cpu.cfs_quota_us").read_text())
        period = int((root / "cpu/cpu.cfs_period_us").read_text())
        return limit / period if limit > 0 else None
    except (OSError, ValueError):
        return None


def cpu_model() -> str:
    """The processor as the system names it, or its architecture where it does not say."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.machine()


def machine_name() -> str:
    """Eight hex digits that stand for processor, cores and system. Figures of two machines never share it."""
    identity = f"{cpu_model()}|{cores()}|{platform.system()}|{platform.machine()}"
    return hashlib.sha256(identity.encode()).hexdigest()[:8]
