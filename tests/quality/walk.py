"""The journey on real logs, from log to answers, beside an independent library: `make quality LOGS=FOLDER`.

Every folder in LOGS that holds `interactions.*` is walked. Writes `reports/quality.md` and `.json`.
"""

import sys
import time
import warnings
from pathlib import Path

import msgspec
from independent import ndcg_of_best
from quality_table import OURS_BESIDE_IT, Rival, Walked, shown, table

from contracts import durable
from contracts.artifact import Artifact
from contracts.sections import Paths, Settings
from contracts.settings import read_settings
from export.exporting import export_run
from export.measuring.candidates import choose_candidates
from export.measuring.evaluation import Estimate, answer
from export.measuring.measure import measure
from export.measuring.measured import Candidate
from export.promotion.decision import Decision, decide
from export.promotion.promoting import promote
from export.promotion.refitting import refit_winner
from export.report.page import write_report
from flyweight.console import Reporter
from models import metrics
from models.ladder import TRAININGS
from models.logs.checks import render
from models.logs.log import read_log
from models.splits.questions import holdout_questions
from models.splits.split import Split, split_log
from models.training import refusal, train
from service.predictor import OnnxPredictor
from service.ranking import Query, rank

SHOWN_USERS = 3
_STEPS = ("train", "export", "measure", "promote")


def walk(folder: Path, settings: Settings, out: Reporter) -> Walked:
    log = read_log(folder, settings.log)
    out.say(f"\n== {folder.name}\n{render(log.report)}")
    split = split_log(folder, settings, out.progress)
    clock = [time.monotonic()]
    runs = []
    for name in TRAININGS:
        if why := refusal(split, name, settings):
            out.say(why)
            continue
        runs.append(train(split, name, settings, out.progress))
        found = runs[-1].description
        out.say(f"trained {name}: NDCG@10 on the validation part, by repeat policy: {found.policies}")
    clock.append(time.monotonic())
    attempts = [attempt for run in runs for attempt in export_run(run, settings, out.progress)]
    clock.append(time.monotonic())
    candidates = measure(choose_candidates(settings.paths.artifacts, ()), split, settings, out.progress)
    clock.append(time.monotonic())
    decision = decide(candidates, settings.promotion, attempts=attempts)
    winner = next(c for c in candidates if c.artifact.version == decision.version)
    serving, sentence = refit_winner(winner.artifact, settings, out.progress)
    decision = decision.adding(sentence)
    promote(settings.paths.artifacts, settings.paths.bundle, serving, decision)
    clock.append(time.monotonic())
    out.say(decision.reason)
    out.wrote(settings.paths.reports / "report.html", "the report")
    write_report(settings, settings.paths.reports / "report.html")
    show_answers(serving, split, out)
    rivals = [compare(kind, candidates, decision, split, settings, out) for kind in ("item-to-item", "ALS")]
    return Walked(
        folder.name,
        candidates[0].measured.quality.evaluations,
        {c.artifact.name: msgspec.to_builtins(c.measured) for c in candidates},
        attempts,
        {
            run.description.name: {"policy": run.description.repeat_policy, "ndcg": run.description.policies}
            for run in runs
        },
        rivals,
        decision,
        {step: clock[i + 1] - clock[i] for i, step in enumerate(_STEPS)},
    )


def show_answers(serving: Artifact, split: Split, out: Reporter) -> None:
    """What the promoted artifact answers a few users of the holdout, with titles."""
    questions, catalog = holdout_questions(split), serving.catalog
    asked = [[split.item_ids[code] for code in h] for h in questions.histories[:SHOWN_USERS]]
    histories = [catalog.indices_of_ids(ids) for ids in asked]
    queries = [Query(h, 5, policy=serving.manifest.repeat_policy) for h in histories]
    for history, ranking in zip(histories, rank(OnnxPredictor(serving), queries), strict=True):
        out.say("after " + "; ".join(catalog.title(item) for item in history[-3:]))
        out.say("  -> " + "; ".join(catalog.title(item) for item in ranking.items))


def compare(
    kind: str,
    candidates: list[Candidate],
    decision: Decision,
    split: Split,
    settings: Settings,
    out: Reporter,
) -> Rival:
    """Ours under `mask` as well: the winner and item-to-item."""
    candidates = [c for c in candidates if c.artifact.name in (decision.winner, OURS_BESIDE_IT)]
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
        difference = shown(msgspec.to_builtins(estimate), "+")
        out.say(f"implicit {name}: NDCG@10 {rival.ndcg:.4f}; {ours} minus it {difference}")
    return rival


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
