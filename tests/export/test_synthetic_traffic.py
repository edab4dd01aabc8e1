"""Users made up: their numbers follow the laws that are asked for, and the feature cache knows them."""

import asyncio
import json

import numpy as np
import pytest

from contracts.load_sections import Loadtest
from contracts.sections import Features, Settings
from export.synthetic_traffic import materialize_synthetic, synthetic_histories
from service.embedded_redis import embedded_redis
from service.feature_cache import RedisFeatureCache


def made(**changed) -> list[np.ndarray]:
    asked = {"length_exponent": 1.5, "popularity_exponent": 2.0, "seed": 1} | changed
    return synthetic_histories(1000, 20_000, 50, **asked)


def test_lengths_follow_the_power_law_up_to_the_longest():
    lengths = np.array([len(history) for history in made()])
    shares = np.arange(1, 51) ** -1.5
    shares /= shares.sum()
    assert (lengths.min(), lengths.max()) == (1, 50)
    for length in (1, 2, 5):
        assert (lengths == length).mean() == pytest.approx(shares[length - 1], rel=0.1)


def test_a_smaller_exponent_makes_few_items_more_popular():
    def share_of_the_ten_most_popular(exponent: float) -> float:
        clicks = np.bincount(np.concatenate(made(popularity_exponent=exponent)), minlength=1000)
        return np.sort(clicks)[-10:].sum() / clicks.sum()

    assert share_of_the_ten_most_popular(1.5) > 2 * share_of_the_ten_most_popular(3.0)
    items = np.concatenate(made())
    assert (items.min() >= 0) and (items.max() < 1000)


def test_same_seed_same_users():
    assert all(np.array_equal(one, other) for one, other in zip(made(), made(), strict=True))


def test_the_feature_cache_knows_them_and_the_traffic_file_says_what(sealed, tmp_path):
    artifact = sealed["popularity"]
    settings = Settings(features=Features(history_length=5), loadtest=Loadtest(session_exponent=1.1))
    out = tmp_path / "traffic.json"
    with embedded_redis(tmp_path / "redis") as url:
        filled, traffic = materialize_synthetic(artifact, 30, settings, url, out)
        assert filled.users == len(traffic.users) == 30
        users = json.loads(out.read_text())["users"]
        cache = RedisFeatureCache(url, timeout_ms=1000)
        readings = asyncio.run(cache.read([user["user_id"] for user in users]))
    ids, numbers = list(artifact.catalog.item_ids), artifact.catalog.item_numbers
    for user, reading in zip(users, readings, strict=True):
        assert reading.tolist() == [numbers[ids.index(item)] for item in user["history"]]
        assert 1 <= len(reading) <= 5
