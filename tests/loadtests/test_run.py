"""`run` against a stub: what a caller of the load test gets back."""

from pathlib import Path

import msgspec
import pytest

from contracts.faults import RunNotValid, UsageFault
from contracts.sections import Loadtest, Settings, Slo
from loadtests.run import run
from loadtests.wording import render

SETTINGS = Settings(
    loadtest=Loadtest(users=10, think_ms=20, duration_seconds=1),
    slo=Slo(predict=("p(50) < 4000", "success >= 0.999", "degraded < 0.01")),
)


def test_service_that_behaves_meets_the_slo_and_leaves_a_report(start_stub, traffic_file, tmp_path, answer_well):
    stub = start_stub(answer_well)
    seen: list[tuple[str, int, int]] = []
    out = tmp_path / "report"
    verdict = run(stub.url, SETTINGS, traffic=traffic_file, out=out, progress=lambda *step: seen.append(step))
    assert (verdict.outcome, verdict.exit_code) == ("met", 0), render(verdict)
    assert verdict.counts.begun == verdict.counts.valid == len(stub.asked)
    assert verdict.setup.median_history == 3
    assert {"verdict.json", "report.html", "locust.log"} <= {path.name for path in out.iterdir()}
    assert seen[-1] == ("load test", 1, 1)
    assert "closed workload" in render(verdict)


def test_one_failure_in_ten_misses_the_slo(start_stub, traffic_file, tmp_path, answer_well):
    def answer(n, body, request_id):
        return (503, {"error": {}}) if n % 10 == 0 else answer_well(n, body, request_id)

    stub = start_stub(answer)
    verdict = run(stub.url, SETTINGS, traffic=traffic_file, out=tmp_path / "report")
    failed = (len(stub.asked) + 9) // 10
    assert verdict.exit_code == 1, render(verdict)
    assert verdict.counts.failures == {"status 503": failed}
    assert verdict.figures.success == (len(stub.asked) - failed) / len(stub.asked)


def test_request_without_an_answer_is_counted_and_never_sent_again(
    start_stub, traffic_file, tmp_path, answer_well
):
    def answer(n, body, request_id):
        return None if n % 10 == 5 else answer_well(n, body, request_id)

    stub = start_stub(answer)
    verdict = run(stub.url, SETTINGS, traffic=traffic_file, out=tmp_path / "report")
    assert verdict.counts.begun == len(stub.asked)
    assert verdict.counts.unanswered == (len(stub.asked) + 4) // 10
    assert verdict.exit_code == 1, render(verdict)


def test_popular_list_for_known_users_is_no_valid_run_however_fast(
    start_stub, traffic_file, tmp_path, answer_well
):
    def answer(n, body, request_id):
        status, answer = answer_well(n, body, request_id)
        return status, {**answer, "source": "popular", "reason": "cold_user"}

    out = tmp_path / "report"
    verdict = run(start_stub(answer).url, SETTINGS, traffic=traffic_file, out=out)
    assert (verdict.outcome, verdict.exit_code) == ("not valid", 3)
    assert "only 0.00% of the answers to known users came from the model" in verdict.problems[0]
    written = msgspec.json.decode((out / "verdict.json").read_bytes())
    assert (written["figures"], written["objectives"]) == (None, [])


def test_interrupted_run_stops_locust_and_keeps_the_report_before(start_stub, traffic_file, tmp_path, answer_well):
    out = tmp_path / "report"
    out.mkdir()
    (out / "verdict.json").write_text("the one before")
    stub = start_stub(answer_well)

    def interrupt(task, done, total):
        if stub.asked:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(stub.url, SETTINGS, traffic=traffic_file, out=out, progress=interrupt)
    assert [path.name for path in out.iterdir()] == ["verdict.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report", "traffic.json"]
    assert not [process for process in Path("/proc").glob("[0-9]*") if str(out.parent) in _command(process)]


def test_url_where_nothing_listens_is_refused_before_locust_starts(unused_url, tmp_path):
    with pytest.raises(RunNotValid, match=r"nothing answers at .*flyweight serve"):
        run(unused_url, SETTINGS, out=tmp_path / "report")
    assert not (tmp_path / "report").exists()


def test_damaged_traffic_file_is_refused_before_locust_starts(unused_url, tmp_path):
    (tmp_path / "traffic.json").write_text("{}")
    with pytest.raises(UsageFault, match="brings nobody to ask for"):
        run(unused_url, SETTINGS, traffic=tmp_path / "traffic.json", out=tmp_path / "report")


def _command(process: Path) -> str:
    try:
        return (process / "cmdline").read_text()
    except OSError:
        return ""
