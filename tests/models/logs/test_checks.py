import msgspec
import pytest

from contracts.faults import VerdictIsNo
from contracts.sections import Log as Columns
from models.logs.checks import LogReport, ensure_trainable, render
from models.logs.log import read_log

GOOD = [f"u{n % 3},i{n % 12},{1_700_000_000 + 60 * n}" for n in range(36)]


def report_of(path) -> LogReport:
    return read_log(path, Columns()).report


def test_good_log_is_trainable(write_csv):
    report = report_of(write_csv(GOOD))
    ensure_trainable(report)
    assert (report.users, report.items, report.rows_kept) == (3, 12, 36)
    assert (report.users_with_one_interaction, report.items_seen_once) == (0, 0)
    assert report.warnings == []


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ([], "there are no interactions"),
        ([",i1,1", ",i2,2"], "none of 2 rows is left; most were dropped as empty user id (row 1: "),
        ([f"u{n},i{n},{n}" for n in range(20)], "0 users have two or more interactions"),
        ([f"u{n % 2},i{n % 9},{n}" for n in range(36)], "9 items, expected at least 10"),
        ([f"u{n % 2},i{n},5" for n in range(36)], "every interaction has the same timestamp"),
    ],
)
def test_log_that_cannot_be_trained_on_says_why(write_csv, lines, problem):
    report = report_of(write_csv(lines))
    with pytest.raises(VerdictIsNo) as verdict:
        ensure_trainable(report)
    assert problem in str(verdict.value)
    assert "This log can be trained on" not in render(report)


def test_report_shows_what_was_dropped_and_the_span(write_csv):
    text = render(report_of(write_csv([*GOOD, "u0,i0,never"])))
    assert "36 of 37 interactions kept" in text
    assert "dropped 1: timestamp that cannot be read" in text
    assert "row 37: user_id='u0', item_id='i0', timestamp='never'" in text
    assert "2023-11-14 22:13 to 2023-11-14 22:48 UTC" in text
    assert "epoch seconds" in text


def test_an_order_is_shown_as_an_order(write_csv):
    text = render(report_of(write_csv([f"u{n % 3},i{n % 12},{n}" for n in range(36)])))
    assert "an order from 0 to 35" in text


def test_baskets_and_sessions_are_counted(write_csv):
    header = "user_id,item_id,timestamp,session_id"
    report = report_of(write_csv(["u,a,1,s", "u,b,1,s", "u,c,2,s", "u,d,3,t", "v,e,3,t"], header=header))
    assert report.sessions == 3, "(u, s), (u, t) and (v, t)"
    assert report.baskets == 4


@pytest.mark.parametrize(
    ("lines", "warning"),
    [
        ([*GOOD, *["u0,,1"] * 3], "3 of 39 rows are faulty"),
        ([*GOOD, *[f"once{n},i0,{1_700_010_000 + n}" for n in range(4)]], "more than half of the users"),
        ([*GOOD[1:], GOOD[0]], "1 rows stand after a row with a later time"),
    ],
)
def test_what_can_be_lived_with_is_a_warning(write_csv, lines, warning):
    report = report_of(write_csv(lines))
    assert any(warning in text for text in report.warnings)
    ensure_trainable(report)


def test_report_survives_json(write_csv):
    report = report_of(write_csv([*GOOD, GOOD[0]]))
    assert msgspec.json.decode(msgspec.json.encode(report), type=LogReport) == report
