import numpy as np

from contracts.sections import Log as Columns
from models.logs.log import read_log
from models.splits.codes import as_interactions


def test_two_logs_coded_alike_speak_of_the_same_users_and_items(write_csv):
    first = read_log(write_csv(["ann,i1,1", "bob,i2,2"], name="first.csv"), Columns())
    second = read_log(write_csv(["bob,i9,3", "ada,i1,4"], name="second.csv"), Columns())
    users, items = {}, {"i2": 0, "i1": 1}
    one, two = (as_interactions(log, users, items) for log in (first, second))
    assert users == {"ann": 0, "bob": 1, "ada": 2}
    assert items == {"i2": 0, "i1": 1, "i9": 2}, "the catalog stays in front"
    assert (one.users.tolist(), one.items.tolist()) == ([0, 1], [1, 0])
    assert (two.users.tolist(), two.items.tolist()) == ([1, 2], [2, 1])


def test_one_session_id_of_two_users_is_two_sessions(write_csv):
    lines = ["u,a,1,s", "v,b,2,s", "u,c,3,s", "u,d,4,t"]
    log = read_log(write_csv(lines, header="user_id,item_id,timestamp,session_id"), Columns())
    assert as_interactions(log, {}, {}).sessions.tolist() == [0, 1, 0, 2]


def test_log_without_sessions_takes_the_user_and_counts_each_row_once(write_csv):
    rows = as_interactions(read_log(write_csv(["u,a,1", "v,b,2", "u,c,3"]), Columns()), {}, {})
    assert not rows.has_sessions
    assert rows.sessions.tolist() == rows.users.tolist() == [0, 1, 0]
    assert rows.weights.tolist() == [1, 1, 1]
    assert rows.times.dtype == np.int64
