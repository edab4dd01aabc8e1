"""Limits on figures: what is read, and what is refused when the settings are read."""

import pytest

from contracts.faults import SettingsFault
from contracts.sections import Promotion
from contracts.settings import read_settings
from contracts.thresholds import COSTS, FIGURES, parse_threshold


@pytest.mark.parametrize("figure", FIGURES)
def test_every_figure_takes_a_limit_on_its_good_side(figure):
    sign = "<=" if figure in COSTS else ">="
    limit = parse_threshold(f" {figure}{sign} 0.5 ")
    assert (limit.expression, limit.figure, limit.bound) == (f"{figure} {sign} 0.5", figure, 0.5)
    assert limit.is_met(0.5)
    assert [limit.is_met(0.4), limit.is_met(0.6)] == [figure in COSTS, figure not in COSTS]


@pytest.mark.parametrize("sign", ["<", ">"])
def test_a_strict_limit_excludes_its_bound(sign):
    figure = "size_mb" if sign == "<" else "NDCG@10"
    assert not parse_threshold(f"{figure} {sign} 1").is_met(1)


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("p99_ms", "cannot read 'p99_ms'; expected a limit as `p99_ms <= 5`"),
        ("p99_ms <= -5", "cannot read"),
        ("p99_ms <= 5 ms", "cannot read"),
        ("p99_ms == 5", "cannot read"),
        ("", "cannot read ''"),
        ("p95_ms <= 5", "there is no figure 'p95_ms'; allowed: p50_ms, p99_ms, size_mb, memory_mb, start_ms,"),
        ("ndcg@10 >= 0.1", "there is no figure 'ndcg@10'"),
        ("p99_ms >= 5", "it would be met by an artifact that gets worse"),
        ("NDCG@10 <= 0.1", "it would be met by an artifact that gets worse"),
        ("throughput <= 1000", "it would be met by an artifact that gets worse"),
        ("NDCG@10 >= 5", "NDCG@10 is a share from 0 to 1"),
    ],
)
def test_a_bad_limit_is_refused_with_what_is_allowed(expression, problem, tmp_path):
    with pytest.raises(ValueError) as refused:
        parse_threshold(expression)
    assert problem in str(refused.value)
    file = tmp_path / "flyweight.toml"
    file.write_text(f'[promotion]\nthreshold = ["size_mb <= 20", "{expression}"]\n')
    with pytest.raises(SettingsFault) as told:
        read_settings(file, environ={})
    assert "[promotion] threshold = ['size_mb <= 20'," in str(told.value)
    assert problem in str(told.value)


@pytest.mark.parametrize(
    ("cost", "problem"),
    [
        (
            '["speed"]',
            "[promotion] cost = ['speed']: cannot use 'speed'; allowed, each once: latency, size, memory,",
        ),
        ('["size", "size"]', "one stands there twice"),
        ("[]", "length >= 1"),
        ('"latency"', "Expected `array`, got `str`"),
    ],
)
def test_a_bad_cost_is_refused_with_what_is_allowed(cost, problem, tmp_path):
    file = tmp_path / "flyweight.toml"
    file.write_text(f"[promotion]\ncost = {cost}\n")
    with pytest.raises(SettingsFault) as told:
        read_settings(file, environ={})
    assert problem in str(told.value)


def test_limits_and_costs_may_come_from_the_environment(tmp_path):
    (tmp_path / "flyweight.toml").write_text("")
    environ = {
        "FLYWEIGHT_PROMOTION_THRESHOLD": '["p99_ms <= 5", "size_mb <= 20"]',
        "FLYWEIGHT_PROMOTION_COST": '["size"]',
    }
    rule = read_settings(tmp_path / "flyweight.toml", environ=environ).promotion
    assert rule == Promotion(threshold=("p99_ms <= 5", "size_mb <= 20"), cost=("size",))
    assert [limit.bound for limit in rule.limits()] == [5, 20]
