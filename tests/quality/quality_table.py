"""What was walked, as a table in Markdown."""

import msgspec

from export.measuring.evaluation import Estimate
from export.promotion.decision import Decision
from export.variants.attempts import Attempt

OURS_BESIDE_IT = "item-to-item:fp32"


class Rival(msgspec.Struct, frozen=True):
    """One model of the independent library, and ours minus it."""

    kind: str
    name: str
    ndcg: float
    ours_minus_it: dict[str, Estimate]


class Walked(msgspec.Struct, frozen=True):
    log: str
    questions: int
    figures: dict[str, dict[str, object]]
    attempts: list[Attempt]
    policies: dict[str, dict[str, object]]
    rivals: list[Rival]
    decision: Decision
    seconds: dict[str, float]


def table(walks: list[Walked]) -> str:
    lines = [
        "| log | artifact | seen items | NDCG@10 [95 %] | minus popularity [95 %] | minus its fp32 [95 %] "
        "| HitRate@10 | p50 ms | predictions/s | MB | memory MB | start ms |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for walked in walks:
        lines += [_line(walked, name, measured) for name, measured in walked.figures.items()]
        lines += [
            f"| {walked.log} | {attempt.rung}:{attempt.variant} | {attempt.status}: {attempt.why} {'| ' * 9}|"
            for attempt in walked.attempts
            if attempt.status != "made"
        ]
        lines += [_rival_line(walked.log, rival) for rival in walked.rivals]
    return "\n".join(lines) + "\n"


def _line(walked: Walked, name: str, measured: dict) -> str:
    figures, latency = measured["quality"]["metrics"], measured["latency"]
    best = max(batch["batch_size"] * 1000 / batch["p50_ms"] for batch in latency)
    own = measured["against_fp32"]
    shipped = "**" if name == walked.decision.winner else ""
    cells = [
        walked.log,
        f"{shipped}{name}{shipped}",
        measured["quality"]["seen"],
        shown(figures["NDCG@10"]),
        shown(measured["against_baseline"]["difference"], "+"),
        shown(own["difference"], "+") if own else "",
        f"{figures['HitRate@10']['value']:.4f}",
        f"{latency[0]['p50_ms']:.3f}",
        f"{best:,.0f}",
        f"{measured['size_bytes'] / 1e6:.2f}",
        f"{measured['footprint']['memory_mb']:.0f}",
        f"{measured['footprint']['cold_start_ms']:.0f}",
    ]
    return f"| {' | '.join(cells)} |"


def _rival_line(log: str, rival: Rival) -> str:
    ours = msgspec.to_builtins(rival.ours_minus_it[OURS_BESIDE_IT])
    cells = f"{rival.ndcg:.4f}; {OURS_BESIDE_IT} minus it {shown(ours, '+')}"
    return f"| {log} | implicit: {rival.name} | mask | {cells} {'| ' * 8}|"


def shown(estimate: dict, sign: str = "") -> str:
    return f"{estimate['value']:{sign}.4f} [{estimate['low']:{sign}.4f}, {estimate['high']:{sign}.4f}]"
