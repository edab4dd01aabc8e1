"""`report` and `diff` on the tiny planted world."""

import pytest

from contracts.pointer import find_artifact


@pytest.fixture
def ready(measured, tmp_path):
    """A copy of the measured world, to write in."""
    return measured.copy(tmp_path / "ready")


def test_report_before_promote_says_that_nothing_is_decided(ready, call):
    ended = call(ready, "report")
    assert ended.exit_code == 0
    assert "No decision yet" in ended.stdout
    assert ended.result["winner"] is None
    page = (ready.settings.paths.reports / "report.html").read_text()
    assert "No decision yet: flyweight promote" in page
    assert all(name in page for name in ended.result["artifacts"])
    assert len(ended.result["artifacts"]) >= 3


def test_report_after_promote_tells_the_decision_and_the_card_of_the_winner(ready, call, tmp_path):
    promoted = call(ready, "promote")
    assert promoted.exit_code == 0
    out = tmp_path / "elsewhere" / "page.html"
    ended = call(ready, "report", "--out", out)
    winner = promoted.result["decision"]["winner"]
    assert ended.result["winner"] == winner
    page = out.read_text()
    assert f"<h1>{winner} ships</h1>" in page
    assert f"Model card of {winner}" in page
    assert "validation from 20" in page  # dates of the split, read from the run
    assert "rests on other figures" not in page
    again = tmp_path / "again.html"
    assert call(ready, "report", "--out", again).exit_code == 0
    assert again.read_bytes() == out.read_bytes()


def test_report_without_figures_says_what_to_run(exported, tmp_path, call):
    ended = call(exported.copy(tmp_path / "copy"), "report")
    assert ended.exit_code == 2
    assert "Run `flyweight measure`" in ended.stderr


def test_report_onto_a_directory_is_refused(ready, call, tmp_path):
    ended = call(ready, "report", "--out", tmp_path)
    assert ended.exit_code == 2
    assert "is a directory" in ended.stderr


def test_diff_of_an_artifact_with_itself_says_that_nothing_differs(exported, tmp_path, call):
    copy = exported.copy(tmp_path / "copy")
    path = find_artifact(copy.settings.paths.artifacts, "sasrec:fp32").path
    ended = call(copy, "diff", "sasrec:fp32", path)
    assert ended.exit_code == 0
    assert "same bytes: nothing differs" in ended.stdout
    assert ended.result["same_bytes"] is True
    assert ended.result["answers"]["same_list"] == 1.0


def test_diff_of_two_seeds_names_the_seed_and_the_overlap(exported, tmp_path, call):
    copy = exported.copy(tmp_path / "copy")
    before = find_artifact(copy.settings.paths.artifacts, "sasrec:fp32").path
    trained = call(copy, "train", "--interactions", copy.log, "--rung", "sasrec", "--seed", 9)
    assert trained.exit_code == 0, trained.stderr
    assert call(copy, "export", "--rung", "sasrec").exit_code == 0
    ended = call(copy, "diff", before, "sasrec:fp32")
    assert ended.exit_code == 0
    seeds = [(change["a"], change["b"]) for change in ended.result["changes"] if change["what"] == "seed"]
    assert seeds == [(1, 9)]
    assert "top-10 overlap" in ended.stdout
    assert 0 < ended.result["answers"]["overlap_mean"] < 1
    unchanged = {file["name"] for file in ended.result["files"] if file["same"]}
    assert "item-ids.txt" in unchanged
    assert "model.onnx" not in unchanged


def test_diff_with_an_unknown_artifact_says_what_there_is(exported, tmp_path, call):
    ended = call(exported.copy(tmp_path / "copy"), "diff", "sasrec:fp32", "sasrec:int9")
    assert ended.exit_code == 2
    assert "no artifact sasrec:int9" in ended.stderr
