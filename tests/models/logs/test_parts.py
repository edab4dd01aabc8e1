"""A log in many Parquet files, as `flyweight ingest` and warehouses write it."""

import polars as pl
import pytest

from contracts.faults import LogFault
from contracts.sections import Log
from models.logs.log import read_log
from models.logs.log_files import find_log_files


def write(path, *rows: tuple[str, str, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    users, items, seconds = zip(*rows, strict=True)
    times = pl.Series([1000 * second for second in seconds], dtype=pl.Int64).cast(pl.Datetime("ms", "UTC"))
    pl.DataFrame({"user_id": users, "item_id": items, "timestamp": times}).write_parquet(path)


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "log/day=1970-01-02/b.parquet", ("u2", "i2", 90_000))
    write(tmp_path / "log/day=1970-01-01/a.parquet", ("u1", "i1", 5), ("u1", "i3", 5))
    write(tmp_path / "log/day=1970-01-01/c.parquet", ("u1", "i2", 1))
    return tmp_path / "log"


def read(folder):
    return read_log(folder, Log())


def test_all_files_are_one_log_in_the_order_of_time(folder):
    log = read(folder)
    assert log.frame["item_id"].to_list() == ["i2", "i1", "i3", "i2"]
    assert log.frame["timestamp"].to_list() == [1000, 5000, 5000, 90_000_000]
    assert (log.report.rows_read, log.titles) == (4, {})


def test_folders_in_folders_and_files_beside_them_count_too(folder):
    write(folder / "more.parquet", ("u3", "i1", 6))
    write(folder / "year=1971/month=1/d.parquet", ("u3", "i1", 7))
    assert read(folder).report.rows_read == 6


def test_hidden_files_drafts_and_other_folders_do_not_count(folder):
    write(folder / ".refused/day=1970-01-01/a.parquet", ("u3", "i1", 6))
    write(folder / "day=1970-01-01/.a.parquet", ("u3", "i1", 6))
    write(folder / "other/a.parquet", ("u3", "i1", 6))
    (folder / "day=1970-01-01/.partial-a.parquet.1.12345678").write_bytes(b"half")
    assert read(folder).report.rows_read == 4


def test_titles_come_from_an_items_file_beside_them(folder):
    (folder / "items.csv").write_text("item_id,title\ni1,First\n")
    assert read(folder).titles == {"i1": "First"}
    pl.DataFrame({"item_id": ["i1"], "title": ["Second"]}).write_parquet(folder / "items.parquet")
    with pytest.raises(LogFault, match="expected one items file"):
        read(folder)
    (folder / "items.csv").unlink()
    assert read(folder).titles == {"i1": "Second"}


def test_the_checksum_knows_content_and_places(folder):
    before = find_log_files(folder).sha256()
    assert find_log_files(folder).sha256() == before
    (folder / "day=1970-01-01/c.parquet").rename(folder / "day=1970-01-01/d.parquet")
    renamed = find_log_files(folder).sha256()
    write(folder / "day=1970-01-02/b.parquet", ("u2", "i9", 90_000))
    assert len({before, renamed, find_log_files(folder).sha256()}) == 3


def test_a_file_called_interactions_is_the_log_as_ever(folder):
    (folder / "interactions.csv").write_text("user_id,item_id,timestamp\nu1,i1,1700000000\n")
    assert read(folder).report.rows_read == 1


def test_a_broken_part_is_named(folder):
    (folder / "day=1970-01-02/b.parquet").write_bytes(b"PAR1 nothing PAR1")
    with pytest.raises(LogFault, match=r"b\.parquet cannot be read"):
        read(folder)


def test_parts_with_other_columns_are_named(folder):
    pl.DataFrame({"user_id": ["u1"], "sku": ["i1"]}).write_parquet(folder / "day=1970-01-02/b.parquet")
    with pytest.raises(LogFault, match=r"b\.parquet has the columns"):
        read(folder)


def test_a_folder_without_any_says_what_was_expected(tmp_path):
    with pytest.raises(LogFault, match="or Parquet files, in folders such as day=2026-11-21"):
        read(tmp_path)
