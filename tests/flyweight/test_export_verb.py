"""`flyweight export` says what became of every variant, and fails only when fp32 does."""

import pytest


def test_every_variant_gets_a_line_and_what_is_impossible_says_why(exported, tmp_path, call, monkeypatch):
    monkeypatch.setenv("FLYWEIGHT_EXPORT_VARIANTS", '["fp32", "fp16", "int8-dynamic", "int8-static"]')
    copy = exported.copy(tmp_path / "copy")
    ended = call(copy, "export", "--rung", "popularity")
    assert ended.exit_code == 0
    assert "popularity:fp32, " in ended.stdout
    assert "impossible popularity:int8-dynamic: " in ended.stdout
    attempts = {attempt["variant"]: attempt for attempt in ended.result["attempts"]}
    assert list(attempts) == ["fp32", "fp16", "int8-dynamic", "int8-static"]
    made = [attempt for attempt in attempts.values() if attempt["status"] == "made"]
    assert len(ended.result["artifacts"]) == len(made) >= 1


def test_a_failed_variant_is_told_and_the_exit_code_stays_0(exported, tmp_path, call, monkeypatch):
    from export import attempting
    from export.variants.parity import Tolerance

    monkeypatch.setattr(attempting, "TOLERANCES", {"int8-dynamic": Tolerance(1.0, 0.0)})
    ended = call(exported.copy(tmp_path / "copy"), "export", "--rung", "item-to-item", "--variant", "int8-dynamic")
    assert ended.exit_code == 0
    assert "failed item-to-item:int8-dynamic: " in ended.stdout
    assert ended.result["artifacts"] == []


@pytest.mark.parametrize("wrong", ["fp8", "jpq"])
def test_a_variant_that_nothing_converts_to_is_refused(wrong, exported, call):
    ended = call(exported, "export", "--rung", "popularity", "--variant", wrong)
    assert ended.exit_code == 2
    assert "variants are fp32, fp16, int8-dynamic, int8-static" in ended.stderr
