"""Reads and checks the real logs in the folder that LOGS names, and trains on none. Without LOGS, nothing."""

import os
from pathlib import Path

import pytest

from contracts.sections import Log as Columns
from models.logs.checks import ensure_trainable
from models.logs.log import read_log

EXPECTED = {
    "movietweetings": (141_695, 21_081, 12_611, "epoch seconds"),
    "online-retail": (397_924, 4_339, 3_665, "epoch seconds"),
}


LOGS = os.environ.get("LOGS")
FOUND = [folder for name in EXPECTED if LOGS and (folder := Path(LOGS, name)).is_dir()]

if FOUND:  # without logs no test is collected, so none is skipped

    @pytest.mark.parametrize("folder", FOUND, ids=lambda folder: folder.name)
    def test_real_log_is_read_whole_and_can_be_trained_on(folder):
        report = read_log(folder, Columns()).report
        found = (report.rows_read, report.users, report.items, report.timestamp_kind)
        assert found == EXPECTED[folder.name]
        assert {dropped.reason for dropped in report.dropped} <= {"duplicate of another row"}
        assert report.titles_found == report.items
        ensure_trainable(report)
