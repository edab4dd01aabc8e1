"""Ingesting and forgetting on a Redis Cluster of three, where a command may concern one node only."""

import pytest

from contracts.events import Served
from export.ingest import ingest
from service.feature_cache import key_of
from service.forgetting import forget
from service.redis_clients import connect
from tests.export.filled_streams import NOON_MS, Filled, event
from tests.service.redis_servers import cluster_of_three


@pytest.fixture
def cluster(tmp_path):
    with cluster_of_three(tmp_path / "cluster") as servers, connect(servers[0].url, cluster=True) as client:
        yield client


def test_a_cluster_is_drained_and_forgets(cluster, event_settings, monkeypatch):
    filled = Filled(cluster, event_settings.paths.events, event_settings.paths.served)
    filled.add(*(event(f"e{n}", f"u{n % 30}") for n in range(60)))
    filled.add_served(Served("r1", NOON_MS, "sasrec:fp32", "abc", ["i1"]))
    assert ingest(cluster, event_settings).events == 60
    monkeypatch.delattr("export.event_log.DailyLog.without_known")  # nor does it take a stream for another one
    cluster.set(key_of("u3"), b"some")
    assert forget(cluster, "u3")
    found = ingest(cluster, event_settings)
    assert (found.forgotten, found.erased) == (1, 2)
    assert filled.logged() == sorted(f"e{n}" for n in range(60) if n % 30 != 3)
    assert filled.waiting() == 0
