"""Recommendations in batch are those of the service: same ranking, same fallback."""

import gzip

import polars as pl
import pytest

from contracts.faults import UsageFault
from export.recommendation import histories_of_log, read_users, recommend_to_parquet
from models.logs.log import read_log
from service.predictor import OnnxPredictor
from service.ranking import Query, rank


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("users.txt", b"0007\nu1\n\n"),
        ("users.txt", b"0007\r\nu1\r\n"),
        ("users.csv", b"age,user_id\n9,0007\n8,\n7,u1\n"),
    ],
)
def test_user_ids_are_read_as_text_and_empty_ones_passed_over(name, content, tmp_path):
    (tmp_path / name).write_bytes(content)
    assert read_users(tmp_path / name) == ["0007", "u1"]


def test_user_ids_of_a_parquet_file_become_text(tmp_path):
    pl.DataFrame({"user_id": [7, None, 8]}).write_parquet(tmp_path / "users.parquet")
    assert read_users(tmp_path / "users.parquet") == ["7", "8"]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("users.csv", b"user,age\nu1,9\n", "has the columns user, age; expected one called user_id"),
        ("users.parquet", b"no parquet", "cannot be read"),
        ("users.csv.gz", gzip.compress(b"user_id\nu1\n", mtime=0), "Expected user ids, one per line"),
        ("users.csv", b"", "cannot be read"),
    ],
)
def test_a_file_that_holds_no_users_is_refused(name, content, told, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageFault, match=told):
        read_users(tmp_path / name)


@pytest.fixture
def answered(sealed, tmp_path):
    """The file that `rung` writes for histories of the users a, b, ..."""

    def write(rung, histories, k=3):
        out = tmp_path / "out.parquet"
        users = [chr(ord("a") + number) for number in range(len(histories))]
        rows = recommend_to_parquet(OnnxPredictor(sealed[rung]), users, histories, k, out)
        frame = pl.read_parquet(out)
        assert len(frame) == rows
        return frame

    return write


def test_every_user_gets_k_ranked_items_of_the_model(answered, sealed):
    frame = answered("sasrec", [[1, 2], [3]])
    assert frame["user_id"].to_list() == ["a"] * 3 + ["b"] * 3
    assert frame["rank"].to_list() == [1, 2, 3] * 2
    ids = sealed["sasrec"].catalog.item_ids
    ranking, _ = rank(OnnxPredictor(sealed["sasrec"]), [Query([1, 2], 3), Query([3], 3)])
    assert frame["item_id"].to_list()[:3] == [ids[item] for item in ranking.items]
    assert set(frame["source"]) == {"model"}


def test_a_user_without_a_history_gets_the_popular_list_without_scores(answered, sealed):
    frame = answered("sasrec", [[], [3]])
    artifact = sealed["sasrec"]
    assert frame["item_id"].to_list()[:3] == [artifact.catalog.item_ids[item] for item in artifact.popular[:3]]
    assert frame["source"].to_list() == ["popular"] * 3 + ["model"] * 3
    assert frame["score"].is_null().to_list() == [True] * 3 + [False] * 3


def test_a_popularity_model_answers_cold_users_itself(answered):
    frame = answered("popularity", [[]])
    assert set(frame["source"]) == {"model"}
    assert frame["score"].null_count() == 0


def test_more_than_the_catalog_holds_gives_all_that_remain(answered):
    frame = answered("item-to-item", [[1, 2], []], k=500)
    assert frame.group_by("user_id").len().sort("user_id")["len"].to_list() == [58, 60]


def test_no_users_give_an_empty_file_of_the_same_form(answered):
    frame = answered("popularity", [])
    assert frame.columns == ["user_id", "rank", "item_id", "score", "source"]
    assert frame.is_empty()


def test_histories_of_a_log_are_in_time_order_and_empty_for_strangers(exported, sealed):
    catalog = sealed["popularity"].catalog
    log = read_log(exported.log, exported.settings.log)
    user = log.user_ids[0]
    frame = log.frame.filter(pl.col("user_id").cast(pl.String) == user)
    expected = catalog.indices_of_ids(frame["item_id"].cast(pl.String))
    assert histories_of_log(log, ["stranger", user], catalog) == [[], expected]
