"""The cores we may use: what the container was given, not what the host has."""

import os

import pytest

from contracts import machine

ALLOWED = len(os.sched_getaffinity(0))


def write(root, name, text):
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


@pytest.mark.parametrize(
    ("limit", "cores"),
    [
        ("max 100000", ALLOWED),
        ("100000 100000", 1),
        ("50000 100000", 1),  # half a core still runs one process
        (f"{ALLOWED * 100_000 - 50_000} 100000", ALLOWED),  # a fraction is rounded up
        (f"{ALLOWED * 1_000_000} 100000", ALLOWED),  # more than there are
        ("nonsense", ALLOWED),
    ],
)
def test_quota_of_cgroup_v2_limits_the_cores(tmp_path, limit, cores):
    write(tmp_path, "cpu.max", f"{limit}\n")
    assert machine.cores(tmp_path) == cores


@pytest.mark.parametrize(("quota_us", "cores"), [(-1, ALLOWED), (100_000, 1), (20_000, 1)])
def test_quota_of_cgroup_v1_limits_the_cores(tmp_path, quota_us, cores):
    write(tmp_path, "cpu/cpu.cfs_quota_us", f"{quota_us}\n")
    write(tmp_path, "cpu/cpu.cfs_period_us", "100000\n")
    assert machine.cores(tmp_path) == cores


def test_without_a_cgroup_the_affinity_decides(tmp_path):
    assert machine.cores(tmp_path / "nowhere") == ALLOWED


def test_name_of_a_machine_is_short_and_stays():
    name = machine.machine_name()
    assert len(name) == 8 and int(name, 16) >= 0
    assert machine.machine_name() == name
    assert machine.cpu_model()


def test_quota_of_the_processs_own_group_counts_where_the_root_has_none(tmp_path):
    write(tmp_path, "own", "0::/system.slice/flyweight.service\n")
    write(tmp_path, "fs/system.slice/flyweight.service/cpu.max", "100000 100000\n")
    assert machine.cores(tmp_path / "fs", tmp_path / "own") == 1
