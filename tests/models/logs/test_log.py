import gzip
from datetime import UTC, datetime
from hashlib import sha256

import polars as pl
import pytest

from contracts.faults import LogFault
from contracts.sections import Log as Columns
from models.logs.log import read_log


def rows_of(log):
    return log.frame.select(pl.col("user_id", "item_id").cast(pl.String), "timestamp").rows()


def dropped_of(log):
    return {dropped.reason: dropped.rows for dropped in log.report.dropped}


def milliseconds(*moment) -> int:
    return int(datetime(*moment, tzinfo=UTC).timestamp() * 1000)


def test_ids_that_look_like_numbers_keep_their_zeros(write_csv):
    log = read_log(write_csv(["007,0000628,1", "7,628,2"]), Columns())
    assert rows_of(log) == [("007", "0000628", 1), ("7", "628", 2)]
    assert log.user_ids == ["007", "7"]
    assert log.item_ids == ["0000628", "628"]


def test_whole_numbers_in_parquet_become_text(tmp_path):
    path = tmp_path / "log.parquet"
    pl.DataFrame({"user_id": [7, 8], "item_id": ["0001", None], "timestamp": [1, 2]}).write_parquet(path)
    log = read_log(path, Columns())
    assert rows_of(log) == [("7", "0001", 1)]
    assert dropped_of(log) == {"empty item id": 1}


def test_fractions_as_ids_are_refused(tmp_path):
    path = tmp_path / "log.parquet"
    pl.DataFrame({"user_id": [7.0], "item_id": ["1"], "timestamp": [1]}).write_parquet(path)
    with pytest.raises(LogFault, match="'user_id' is Float64; expected ids as text or whole numbers"):
        read_log(path, Columns())


def test_a_log_reads_the_same_as_csv_gzip_and_parquet(write_csv, tmp_path):
    plain = write_csv(["b,2,20", "a,1,10"])
    (tmp_path / "log.csv.gz").write_bytes(gzip.compress(plain.read_bytes()))
    pl.read_csv(plain, infer_schema=False).write_parquet(tmp_path / "log.parquet")
    for path in (plain, tmp_path / "log.csv.gz", tmp_path / "log.parquet"):
        assert rows_of(read_log(path, Columns())) == [("a", "1", 10), ("b", "2", 20)]


def test_columns_by_other_names_are_mapped(write_csv):
    path = write_csv(["s1,i1,5"], header="SessionId,ItemId,Time")
    columns = Columns(user_id="SessionId", session_id="SessionId", item_id="ItemId", timestamp="Time")
    log = read_log(path, columns)
    assert rows_of(log) == [("s1", "i1", 5)]
    assert log.report.sessions == 1


def test_missing_column_names_what_was_found_and_the_setting(write_csv):
    path = write_csv(["1,2,3"], header="visitor,item_id,timestamp")
    with pytest.raises(LogFault) as fault:
        read_log(path, Columns())
    for part in ("no column 'user_id'", "visitor, item_id, timestamp", "Set user-id in [log]"):
        assert part in str(fault.value)


def test_optional_column_that_was_configured_but_is_missing_is_refused(write_csv):
    with pytest.raises(LogFault, match="no column 'quantity'"):
        read_log(write_csv(["1,2,3"]), Columns(weight="quantity"))


def test_event_types_without_their_column_are_refused(write_csv):
    with pytest.raises(LogFault, match="no column 'event_type'"):
        read_log(write_csv(["1,2,3"]), Columns(event_types=("buy",)))


def test_rows_are_sorted_by_time_and_ties_keep_the_order_of_the_file(write_csv):
    log = read_log(write_csv(["u,late,9", "u,z,5", "u,a,5", "u,m,5", "u,early,1"]), Columns())
    assert [row[1] for row in rows_of(log)] == ["early", "z", "a", "m", "late"]
    assert log.report.out_of_order_rows == 4


@pytest.mark.parametrize(
    ("texts", "kind", "times"),
    [
        (["0", "1", "2"], "order", [0, 1, 2]),
        (["1700000000", "1700000001.5"], "epoch seconds", [1_700_000_000_000, 1_700_000_001_500]),
        (["1700000000000", "1700000000001"], "epoch milliseconds", [1_700_000_000_000, 1_700_000_000_001]),
        (
            ["2024-01-02", "2024-01-02T03:04:05Z", "2024-01-02 03:04:05.250", "2024-01-02T06:00:00+02:00"],
            "ISO 8601",
            [
                milliseconds(2024, 1, 2),
                milliseconds(2024, 1, 2, 3, 4, 5),
                milliseconds(2024, 1, 2, 3, 4, 5) + 250,
                milliseconds(2024, 1, 2, 4),
            ],
        ),
    ],
)
def test_timestamps_are_recognised(write_csv, texts, kind, times):
    log = read_log(write_csv([f"u,i,{text}" for text in texts]), Columns())
    assert log.report.timestamp_kind == kind
    assert log.frame["timestamp"].to_list() == times


def test_datetime_columns_of_parquet_are_read_in_utc(tmp_path):
    noon = pl.Series([datetime(2024, 7, 2, 12)]).dt.replace_time_zone("Europe/Berlin")
    path = tmp_path / "log.parquet"
    pl.DataFrame({"user_id": ["u"], "item_id": ["i"], "timestamp": noon}).write_parquet(path)
    assert read_log(path, Columns()).frame["timestamp"].to_list() == [milliseconds(2024, 7, 2, 10)]


def test_timestamps_that_their_kind_cannot_mean_are_dropped_with_an_example(write_csv):
    log = read_log(write_csv(["u,a,1700000000", "u,b,1700000001", "u,c,0", "u,d,soon", "u,e,NaN"]), Columns())
    [dropped] = log.report.dropped
    assert (dropped.reason, dropped.rows, dropped.first_row) == ("timestamp that cannot be read", 3, 3)
    assert "item_id='c', timestamp='0'" in dropped.example


def test_microseconds_are_refused_with_the_remedy(write_csv):
    with pytest.raises(LogFault, match="Divide microseconds by 1,000"):
        read_log(write_csv(["u,a,1700000000000000"]), Columns())


def test_a_row_is_dropped_once_for_its_first_fault(write_csv):
    long_id = "x" * 257
    lines = [",i,1", "u,,2", ",,", f"u,{long_id},3", "u,i,4", f"u,{long_id[:-1]},5"]
    log = read_log(write_csv(lines), Columns())
    assert dropped_of(log) == {
        "blank row": 1,
        "empty user id": 1,
        "empty item id": 1,
        "id longer than 256 characters": 1,
    }
    assert log.report.rows_read == 6
    assert [row[2] for row in rows_of(log)] == [4, 5]


def test_weights_that_are_not_above_zero_are_dropped(write_csv):
    lines = ["u,a,1,2.5", "u,b,2,0", "u,c,3,-1", "u,d,4,", "u,e,5,many", "u,f,6,inf"]
    log = read_log(write_csv(lines, header="user_id,item_id,timestamp,weight"), Columns())
    assert log.frame["weight"].to_list() == [2.5]
    [dropped] = log.report.dropped
    assert (dropped.rows, dropped.first_row) == (5, 2)
    assert "weight='0'" in dropped.example


def test_only_the_event_types_asked_for_are_kept(write_csv):
    path = write_csv(["u,a,1,view", "u,a,2,buy", "u,b,3,"], header="user_id,item_id,timestamp,event_type")
    log = read_log(path, Columns(event_types=("buy",)))
    assert rows_of(log) == [("u", "a", 2)]
    assert dropped_of(log) == {"event type not asked for": 2}


def test_exact_duplicates_are_dropped_and_near_ones_kept(write_csv):
    header = "user_id,item_id,timestamp,session_id,event_type"
    lines = ["u,a,5,s,view", "u,a,5,s,buy", "u,a,5,t,view", "u,a,6,s,view", "v,a,5,s,view", "u,a,5,s,view"]
    log = read_log(write_csv(lines, header=header), Columns())
    assert log.report.rows_kept == 5
    [dropped] = log.report.dropped
    assert (dropped.reason, dropped.first_row) == ("duplicate of another row", 6)


def test_rows_without_session_are_counted(write_csv):
    path = write_csv(["u,a,1,s", "u,b,2,"], header="user_id,item_id,timestamp,session_id")
    report = read_log(path, Columns()).report
    assert report.rows_without_session == 1
    assert any("no session id" in warning for warning in report.warnings)


def test_byte_order_mark_windows_line_ends_and_quotes_are_understood(tmp_path):
    path = tmp_path / "log.csv"
    text = '\ufeffuser_id,item_id,timestamp\r\n"Doe, Jane","say ""hi""",1\r\nb,"two\nlines",2\r\n'
    path.write_bytes(text.encode())
    assert rows_of(read_log(path, Columns())) == [("Doe, Jane", 'say "hi"', 1), ("b", "two\nlines", 2)]


@pytest.mark.parametrize("compress", [lambda content: content, gzip.compress])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"user_id,item_id,timestamp\n1,2,3\n4,5\n", "line 3: found 2 fields, expected 3"),
        (b"user_id,item_id,timestamp\n1,2,3\n4,5,6,7\n", "line 3: found 4 fields, expected 3"),
        (b"user_id,item_id,timestamp\n1,\xff\xfe,3\n", "line 2: .* is not UTF-8"),
        (b'user_id,item_id,timestamp\n"1,2,3\n4,5,6\n', "A quote is open"),
        (b"user_id,user_id,item_id,timestamp\n1,2,3,4\n", "more than one column 'user_id'"),
    ],
)
def test_broken_file_is_refused_with_the_place(tmp_path, content, message, compress):
    path = tmp_path / ("log.csv" if compress(b"x") == b"x" else "log.csv.gz")
    path.write_bytes(compress(content))
    with pytest.raises(LogFault, match=message):
        read_log(path, Columns())


def test_truncated_gzip_is_refused(tmp_path):
    path = tmp_path / "log.csv.gz"
    path.write_bytes(gzip.compress(b"user_id,item_id,timestamp\n" + b"1,2,3\n" * 1000)[:-20])
    with pytest.raises(LogFault, match="cannot be read"):
        read_log(path, Columns())


def test_parquet_that_is_none_is_refused(tmp_path):
    path = tmp_path / "log.parquet"
    path.write_bytes(b"not parquet")
    with pytest.raises(LogFault, match="cannot be read"):
        read_log(path, Columns())


def test_empty_last_fields_are_no_broken_rows(write_csv):
    log = read_log(write_csv(["u,a,1,", "u,b,2,x"], header="user_id,item_id,timestamp,note"), Columns())
    assert log.report.rows_kept == 2


def test_folder_brings_titles_and_both_files_count_for_the_checksum(write_csv, tmp_path):
    interactions = write_csv(["u,01,1"])
    alone = read_log(tmp_path, Columns())
    items = write_csv(["01,Teapot", "02,", "03,Drum"], header="item_id,title", name="items.csv")
    log = read_log(tmp_path, Columns())
    first, second = (sha256(path.read_bytes()).hexdigest() for path in (interactions, items))
    assert log.titles == {"01": "Teapot", "03": "Drum"}
    assert alone.sha256 == first
    assert log.sha256 == sha256((first + second).encode()).hexdigest()


def test_titles_in_the_log_itself_are_read(write_csv):
    log = read_log(write_csv(["u,01,1,Teapot"], header="user_id,item_id,timestamp,title"), Columns())
    assert log.titles == {"01": "Teapot"}


def test_of_two_titles_the_last_is_taken(write_csv, tmp_path):
    write_csv(["u,01,1"])
    write_csv(["01,Old", "01,New", "01,"], header="item_id,title", name="items.csv")
    assert read_log(tmp_path, Columns()).titles == {"01": "New"}


def test_items_file_without_titles_is_refused(write_csv, tmp_path):
    write_csv(["u,01,1"])
    write_csv(["01,Teapot"], header="item_id,name", name="items.csv")
    with pytest.raises(LogFault, match=r"items\.csv has no column 'title'; its columns are item_id, name"):
        read_log(tmp_path, Columns())


def test_folder_without_a_log_says_what_it_found(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(LogFault, match=r"found notes.txt; expected interactions as \.csv"):
        read_log(tmp_path, Columns())


def test_folder_with_two_logs_is_refused(write_csv, tmp_path):
    write_csv(["u,a,1"])
    (tmp_path / "interactions.parquet").touch()
    with pytest.raises(LogFault, match="expected one interactions file"):
        read_log(tmp_path, Columns())


def test_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "log.xlsx").touch()
    with pytest.raises(LogFault, match="Convert it"):
        read_log(tmp_path / "log.xlsx", Columns())


def test_progress_ends_with_everything_done(write_csv):
    calls = []
    read_log(write_csv(["u,a,1"]), Columns(), progress=lambda *call: calls.append(call))
    assert calls[-1] == ("reading interactions.csv", 3, 3)
