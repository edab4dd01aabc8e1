"""`flyweight train --search MINUTES`: what it says, what it counts, and that the run records what was found."""

import pytest

MOMENT = "0.001"
"""Minutes: enough for one trial of each rung, which there always is."""


@pytest.fixture
def fresh(world, tmp_path):
    return world.copy(tmp_path / "fresh")


def test_a_search_tells_what_it_found_and_the_run_records_it(fresh, call):
    ended = call(fresh, "train", "--interactions", fresh.log, "--rung", "item-to-item", "--search", 0.02)
    assert ended.exit_code == 0, ended.stderr
    (searched,), (run,) = ended.result["searches"], ended.result["runs"]
    assert f"search item-to-item: {searched['trials']} trials" in ended.stdout
    assert "trial 0: NDCG@10" in ended.stdout
    assert searched["ndcg_found"] >= searched["ndcg_given"]
    recorded = run["settings"]["item-to-item"]
    assert {key: recorded[key] for key in searched["changed"]} == searched["changed"]


def test_asked_again_the_search_goes_on(fresh, call):
    arguments = ["train", "--interactions", fresh.log, "--rung", "item-to-item", "--search", MOMENT]
    first, second = (call(fresh, *arguments).result["searches"][0] for _ in range(2))
    assert second["trials"] == first["trials"] + second["new"]
    assert second["new"] >= 1


def test_without_a_search_nothing_is_searched(fresh, call):
    ended = call(fresh, "train", "--interactions", fresh.log, "--rung", "item-to-item")
    assert "searches" not in ended.result
    assert not (fresh.settings.paths.runs / "studies").exists()


def test_all_shares_the_minutes_and_every_rung_gets_a_trial(fresh, call):
    ended = call(fresh, "train", "--interactions", fresh.log, "--all", "--search", MOMENT)
    assert ended.exit_code == 0, ended.stderr
    names = ["item-to-item", "vmis-knn", "ials", "ease", "sasrec", "blend", "student"]
    assert [searched["rung"] for searched in ended.result["searches"]] == names
    assert all(searched["new"] >= 1 for searched in ended.result["searches"])
    assert len(ended.result["runs"]) == 9


def test_popularity_has_nothing_to_search_and_is_trained(fresh, call):
    ended = call(fresh, "train", "--interactions", fresh.log, "--rung", "popularity", "--search", 1)
    assert ended.exit_code == 0
    assert "search popularity: there is nothing to search" in ended.stdout
    assert len(ended.result["runs"]) == 1


def test_negative_minutes_are_refused(fresh, call):
    assert call(fresh, "train", "--interactions", fresh.log, "--rung", "popularity", "--search", -1).exit_code == 2
