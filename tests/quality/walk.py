"""The journey on real logs, from log to answers, beside an independent library: `make quality LOGS=FOLDER`.

Every folder in LOGS that holds `interactions.*` is walked. Writes `reports/quality.md` and `.json`.
"""

import sys
import warnings
from pathlib import Path

import msgspec
from independent import ndcg_of_best

from contracts import durable
from contracts.sections import Paths, Settings
from contracts.settings import read_settings
from export.candidates import choose_candidates
from export.decision import Decision, decide
from export.evaluation import Estimate, answer
from export.exporting import export_run
from export.measuring import Candidate, measure
from export.promotion import promote
from flyweight.console import Reporter
from models import metrics
from models.checks import render
from models.ladder import RUNGS
from models.log import read_log
from models.questions import holdout_questions
from models.split import Split, split_log
from models.training import train
from service.predictor import OnnxPredictor
from service.ranking import Query, rank

SHOWN_USERS = 3
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
    rivals: list[Rival]
    decision: Decision


def walk(folder: Path, settings: Settings, out: Reporter) -> Walked:
    log = read_log(folder, settings.log)
    out.say(f"\n== {folder.name}\n{render(log.report)}")
    split = split_log(folder, settings, out.progress)
    for rung in RUNGS:
        run = train(split, rung, settings, out.progress)
        out.say(f"trained {rung}: validation {run.description.validation}")
        export_run(run, settings, out.progress)
    candidates = measure(choose_candidates(settings.paths.artifacts, ()), split, settings, out.progress)
    decision = decide(candidates, settings.promotion)
    out.say(decision.reason)
    winner = next(c for c in candidates if c.artifact.version == decision.version)
    promote(settings.paths.artifacts, settings.paths.bundle, winner.artifact, decision)
    show_answers(winner, split, out)
    rivals = [compare(kind, candidates, split, settings, out) for kind in ("item-to-item", "ALS")]
    figures = {c.artifact.name: msgspec.to_builtins(c.measured) for c in candidates}
    return Walked(folder.name, candidates[0].measured.quality.evaluations, figures, rivals, decision)


def show_answers(winner: Candidate, split: Split, out: Reporter) -> None:
    """What the promoted artifact answers a few users of the holdout, with titles."""
    questions, catalog = holdout_questions(split), winner.artifact.catalog
    histories = [h[h < split.catalog_size].tolist() for h in questions.histories[:SHOWN_USERS]]
    queries = [Query(h, 5, policy=winner.artifact.manifest.repeat_policy) for h in histories]
    for history, ranking in zip(histories, rank(OnnxPredictor(winner.artifact), queries), strict=True):
        out.say("after " + "; ".join(catalog.title(item) for item in history[-3:]))
        out.say("  -> " + "; ".join(catalog.title(item) for item in ranking.items))


def compare(kind: str, candidates: list[Candidate], split: Split, settings: Settings, out: Reporter) -> Rival:
    questions = holdout_questions(split)
    name, theirs = ndcg_of_best(kind, split, questions)
    differences = {}
    for candidate in candidates:
        ours = answer(OnnxPredictor(candidate.artifact), questions, split.item_ids, "mask")
        difference = metrics.paired_difference(
            ours.per_question["NDCG@10"], theirs, questions.groups, settings.measuring.resamples, seed=0
        )
        differences[candidate.artifact.name] = Estimate(*difference)
    rival = Rival(kind, name, float(theirs.mean()), differences)
    for ours, estimate in differences.items():
        shown = _shown(msgspec.to_builtins(estimate), "+")
        out.say(f"implicit {name}: NDCG@10 {rival.ndcg:.4f}; {ours} minus it {shown}")
    return rival


def table(walks: list[Walked]) -> str:
    lines = [
        "| log | model | NDCG@10 [95 %] | minus popularity [95 %] | HitRate@10 | p50 ms | MB |",
        "|---|---|---|---|---|---|---|",
    ]
    for walked in walks:
        for name, measured in walked.figures.items():
            figures, latency = measured["quality"]["metrics"], measured["latency"][0]
            lines.append(
                f"| {walked.log} | {name} | {_shown(figures['NDCG@10'])} "
                f"| {_shown(measured['against_baseline']['difference'], '+')} "
                f"| {figures['HitRate@10']['value']:.4f} | {latency['p50_ms']:.3f} "
                f"| {measured['size_bytes'] / 1e6:.2f} |"
            )
        lines += [_rival_line(walked.log, rival) for rival in walked.rivals]
    return "\n".join(lines) + "\n"


def _rival_line(log: str, rival: Rival) -> str:
    ours = msgspec.to_builtins(rival.ours_minus_it[OURS_BESIDE_IT])
    cells = f"{rival.ndcg:.4f}; {OURS_BESIDE_IT} minus it {_shown(ours, '+')}"
    return f"| {log} | implicit: {rival.name} | {cells} | | | | |"


def _shown(estimate: dict, sign: str = "") -> str:
    return f"{estimate['value']:{sign}.4f} [{estimate['low']:{sign}.4f}, {estimate['high']:{sign}.4f}]"


def main(logs: Path) -> None:
    warnings.filterwarnings("ignore", module="implicit")  # it advises on BLAS threads and converts matrices
    settings, walks = read_settings(), []
    folders = sorted(path for path in logs.iterdir() if list(path.glob("interactions.*")))
    with Reporter() as out:
        for folder in folders:
            root = settings.paths.runs / "quality" / folder.name
            paths = Paths(**{name: root / name for name in ("artifacts", "runs", "reports", "bundle", "state")})
            walks.append(walk(folder, msgspec.structs.replace(settings, paths=paths), out))
        reports = settings.paths.reports
        durable.write_bytes(reports / "quality.md", table(walks).encode())
        durable.write_bytes(reports / "quality.json", msgspec.json.encode(walks))
        out.say("\n" + table(walks))
        out.wrote(reports / "quality.md", "the table")


if __name__ == "__main__":
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        sys.exit("say LOGS=FOLDER, a folder that holds one folder per log with interactions.* in it")
    main(Path(sys.argv[1]))
