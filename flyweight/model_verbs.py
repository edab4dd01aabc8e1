"""Verbs about models and artifacts: train, export, adopt, measure, evaluate."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from contracts.artifact import Artifact, open_artifact
from contracts.faults import UsageFault
from contracts.sections import CONVERSIONS, CONVERTED, HEADS, Settings
from flyweight.console import LINES_APART_SECONDS
from flyweight.tables import evaluation_table, measured_table
from flyweight.verb import THERE, Desk, Outcome, verb

if TYPE_CHECKING:
    from export.variants.attempts import Attempt
    from models.splits.split import Split


@verb(flags={"seed": ("training", "seed")})
@click.option("--interactions", type=THERE, metavar="FILE", help="The log; it is split as [split] says.")
@click.option("--split", "split_folder", type=THERE, metavar="DIR", help="A split made by `flyweight split`.")
@click.option("--rung", metavar="NAME", help="One rung, or one compressed in training: sasrec:jpq.")
@click.option("--all", "all_rungs", is_flag=True, help="Every rung, cheapest first.")
@click.option(
    "--search", type=click.FloatRange(0), default=0, metavar="MINUTES",
    help="Search better settings first, on the validation part; asked again, it goes on. With --all the minutes "
    "are for all rungs together: sasrec gets 8 parts, student 4, ials and ease 2 each, item-to-item, "
    "vmis-knn and blend 1 each, and every one at least one trial. sasrec:jpq takes what is found for sasrec.",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(0), help="Same log, same seed, same numbers.")
def train(
    desk: Desk,
    interactions: Path | None,
    split_folder: Path | None,
    rung: str | None,
    all_rungs: bool,
    search: float,
) -> Outcome:
    """Learn one rung of the ladder, or all of them, from the train part of a log.

    A finished run with the same log, settings, seed and code is reused; an interrupted one resumes. Networks learn
    in several processes where torchrun starts them, see docs/training.md.
    """
    from models import processes
    from models.ladder import TRAININGS
    from models.training import refusal
    from models.training import train as train_rung

    rungs = _rungs(rung, all_rungs, TRAININGS)
    if search and processes.count() > 1:
        raise UsageFault("--search runs in one process. Search without torchrun, then train with what was found.")
    split = processes.first_alone(lambda: _split_of(desk, interactions, split_folder))
    refusals = {name: why for name in rungs if all_rungs and (why := refusal(split, name, desk.settings))}
    settings, searches = desk.settings, []
    if search:
        settings, searches = _search(desk, split, [name for name in rungs if name not in refusals], search)
    results = []
    for name in rungs:
        if name in refusals:
            desk.out.say(refusals[name])
            continue
        run = train_rung(split, name, settings, desk.out.progress)
        figures = ", ".join(f"{metric} {value:.4f}" for metric, value in run.description.validation.items())
        policy = f"seen items: {run.description.repeat_policy}"
        desk.out.wrote(run.folder, f"{name}: validation {figures}, {policy}{' (reused)' if run.reused else ''}")
        results.append(run.description)
    return Outcome({"runs": results} | ({"searches": searches} if search else {}))


def _search(desk: Desk, split: "Split", names: list[str], minutes: float) -> tuple[Settings, list[dict]]:
    """The settings with what was found for each of the trainings, and each search as `--json` tells it.

    One after the other: a blend is searched for the parents that were found. What one takes too long is taken
    from those that follow.
    """
    from models.searching.search import minutes_by_name, search
    from models.searching.trial_journal import Trial

    def tell(number: int, trial: Trial, best: float) -> None:
        if trial.ndcg == best or trial.seconds > LINES_APART_SECONDS:
            result = trial.state if trial.ndcg is None else f"NDCG@10 {trial.ndcg:.4f}"
            desk.out.say(f"  trial {number}: {result}, best {best:.4f} ({trial.seconds:.0f} s)")

    settings, searches, shares = desk.settings, [], minutes_by_name(names, minutes)
    if not shares:
        desk.out.say(f"search {', '.join(names)}: there is nothing to search")
    while shares:
        share = minutes / sum(shares.values())
        name = next(iter(shares))
        found = search(split, name, settings, max(0, share * shares.pop(name)), desk.out.progress, tell)
        settings, minutes = found.settings, minutes - found.minutes
        changed = ", ".join(f"{key} = {json.dumps(value)}" for key, value in found.changed.items())
        desk.out.say(
            f"search {found.rung}: {found.trials:,} trials, {found.new:,} new in {found.minutes:.1f} minutes, "
            f"NDCG@10 {found.ndcg_given:.4f} -> {found.ndcg_found:.4f}; {changed or 'nothing better found'}"
        )
        told = ("rung", "trials", "new", "minutes", "ndcg_given", "ndcg_found", "changed")
        searches.append({key: getattr(found, key) for key in told})
    return settings, searches


_VARIANTS = (*CONVERSIONS, *HEADS)
"""What `export` can be asked for. What is learned in training (`jpq`), and its head, come of their own run."""


@verb()
@click.option("--rung", metavar="NAME", help="The newest run of this rung.")
@click.option("--all", "all_rungs", is_flag=True, help="The newest run of every rung, all of one log.")
@click.option("--variant", metavar="NAME", help=f"One variant: {', '.join(_VARIANTS)}.")
@click.option("--untrained", is_flag=True, help="Random weights over --items made-up items, for load tests only.")
@click.option("--items", type=click.IntRange(10), help="Catalog size, with --untrained.")
def export(
    desk: Desk, rung: str | None, all_rungs: bool, variant: str | None, untrained: bool, items: int | None
) -> Outcome:
    """Turn trained runs into sealed ONNX artifacts, checked against the trained model, in several variants.

    A compressed variant that is impossible, or not close enough to fp32, is told and left out. Exit code 1 when
    the fp32 graph and the model disagree; nothing is sealed then.
    """
    from export.exporting import export_run, export_untrained
    from models.ladder import TRAININGS
    from models.runs import newest_run, newest_runs_together
    from models.untrained import UNTRAINED

    if untrained != bool(items):
        raise UsageFault("--untrained needs --items N, the size of the made-up catalog; only it takes --items.")
    if variant and variant not in _VARIANTS:
        raise UsageFault(f"there is no variant {variant!r} to convert to; variants are {', '.join(_VARIANTS)}.")
    artifacts, attempts = [], []
    if untrained:
        for name in _rungs(rung, all_rungs, UNTRAINED):
            made = export_untrained(name, items, desk.settings, desk.out.progress, variant or "fp32")
            desk.out.wrote(made.path, f"{made.name}, {made.size_bytes / 1e6:.2f} MB, random weights")
            artifacts.append(made)
    else:
        _rungs(rung, all_rungs, TRAININGS)
        runs = desk.settings.paths.runs
        for run in [newest_run(runs, rung)] if rung else newest_runs_together(runs):
            desk.out.read(run.folder, run.description.name)
            tried = export_run(run, desk.settings, desk.out.progress, (variant,) if variant else None)
            artifacts += filter(None, [_tell(desk, attempt) for attempt in tried])
            attempts += tried
    sealed = [{"path": str(a.path), "version": a.version} for a in artifacts]
    return Outcome({"artifacts": sealed, "attempts": attempts})


@verb()
@click.argument("graph", type=THERE, metavar="MODEL.onnx")
@click.option("--name", required=True, help="What its artifacts are called: NAME:fp32.")
@click.option("--interactions", type=THERE, metavar="FILE", help="The log; it is split as [split] says.")
@click.option("--split", "split_folder", type=THERE, metavar="DIR", help="A split made by `flyweight split`.")
@click.option(
    "--catalog", type=THERE, metavar="FILE",
    help="The graph's item ids in the order of its indices, one a line; without it, those of the split.",
)  # fmt: skip
def adopt(
    desk: Desk,
    graph: Path,
    name: str,
    interactions: Path | None,
    split_folder: Path | None,
    catalog: Path | None,
) -> Outcome:
    """Take in an ONNX graph from anywhere, to be measured, promoted and served beside the ladder.

    It answers histories with items; see docs/your-model.md. It must have learned from the train part of the split
    alone. Exit code 1 when it does not answer as it must; nothing is sealed then.
    """
    from export.adopting.adoption import adopt as adopt_graph
    from export.adopting.adoption import refuse_name

    refuse_name(name)
    split = _split_of(desk, interactions, split_folder)
    run, attempts = adopt_graph(graph, name, split, desk.settings, catalog, desk.out.progress)
    figures = ", ".join(f"{metric} {value:.4f}" for metric, value in run.description.validation.items())
    desk.out.wrote(run.folder, f"{name}: validation {figures}, seen items: {run.description.repeat_policy}")
    artifacts = [artifact for attempt in attempts if (artifact := _tell(desk, attempt))]
    sealed = [{"path": str(a.path), "version": a.version} for a in artifacts]
    return Outcome({"run": run.description, "artifacts": sealed, "attempts": attempts})


def _tell(desk: Desk, attempt: "Attempt") -> Artifact | None:
    """One line on one variant of a run; its artifact where there is one."""
    name = f"{attempt.rung}:{attempt.variant}"
    if attempt.artifact is None:
        desk.out.say(f"{attempt.status:6} {name}: {attempt.why}")
        return None
    artifact = open_artifact(desk.settings.paths.artifacts / attempt.artifact, verify=False)
    shared = f", shares {attempt.overlap:.3f} of the top 10" if attempt.variant in CONVERTED else ""
    desk.out.wrote(artifact.path, f"{name}, {artifact.size_bytes / 1e6:.2f} MB, parity holds{shared}")
    return artifact


@verb()
@click.argument("artifacts", nargs=-1, metavar="[ARTIFACT]...")
def measure(desk: Desk, artifacts: tuple[str, ...]) -> Outcome:
    """Measure artifacts side by side: quality on the holdout, size, memory, start, speed.

    Without ARTIFACT: the newest of each name that was trained on the same split as the newest of all.
    The baseline popularity:fp32 is always among them.
    """
    from export.measuring.candidates import choose_candidates, split_of
    from export.measuring.measure import measure as measure_all

    chosen = choose_candidates(desk.settings.paths.artifacts, artifacts)
    split = split_of(chosen[0], desk.settings.paths.runs)
    desk.out.read(split.folder, f"holdout of {split.description.parts['holdout'].interactions:,} interactions")
    candidates = measure_all(chosen, split, desk.settings, desk.out.progress)
    desk.out.say(measured_table(candidates))
    for candidate in candidates:
        desk.out.wrote(candidate.place, candidate.artifact.name)
    return Outcome({"measured": {c.artifact.name: c.measured for c in candidates}})


@verb()
@click.argument("artifact")
@click.option("--interactions", type=THERE, required=True, metavar="TEST", help="Holds the targets.")
@click.option("--history", type=THERE, metavar="TRAIN", help="Holds the histories; without it TEST is cut.")
@click.option(
    "--protocol", type=click.Choice(["time-split", "leave-one-out", "every-prefix"]), default="time-split",
    show_default=True,
)  # fmt: skip
@click.option(
    "--seen", type=click.Choice(["policy", "mask", "keep", "drop-last", "first"]),
    help="What happens to seen items; the protocol's own way unless told. `policy` = the artifact's.",
)  # fmt: skip
@click.option("--questions", type=click.IntRange(1), metavar="N", help="Of more, draw so many; all unless told.")
def evaluate(
    desk: Desk,
    artifact: str,
    interactions: Path,
    history: Path | None,
    protocol: str,
    seen: str | None,
    questions: int | None,
) -> Outcome:
    """Evaluate any artifact on any log, through the predictor that serves, over the full catalog."""
    from contracts.pointer import find_artifact
    from export.measuring.log_evaluation import evaluate_on_log

    found = find_artifact(desk.settings.paths.artifacts, artifact)
    desk.out.read(found.path, f"{found.name} {found.version}")
    if found.manifest.figures_of:
        parts = " + ".join(found.manifest.training.parts)
        desk.out.say(
            f"       a refit, it learned from {parts}: on the log it was made from it has seen answers, and its "
            f"figures flatter it. Version {found.manifest.figures_of} has not."
        )
    result = evaluate_on_log(
        found, interactions, history, protocol, seen, desk.settings, desk.out.progress, questions
    )
    desk.out.say(evaluation_table(result))
    return Outcome(result)


def _rungs(rung: str | None, all_rungs: bool, known: tuple[str, ...]) -> tuple[str, ...]:
    if all_rungs == bool(rung):
        raise UsageFault(f"say either --rung NAME or --all; rungs are {', '.join(known)}.")
    if rung and rung not in known:
        raise UsageFault(f"there is no rung {rung!r}; rungs are {', '.join(known)}.")
    return (rung,) if rung else known


def _split_of(desk: Desk, interactions: Path | None, split_folder: Path | None):
    """The split that was named, or the one of the log, made now unless it is there already."""
    from models.splits.split import open_split, split_log

    if bool(interactions) == bool(split_folder):
        raise UsageFault("say either --interactions FILE or --split DIR: what should be learned from?")
    log = interactions
    split = open_split(split_folder) if split_folder else split_log(log, desk.settings, desk.out.progress)
    desk.out.read(split.folder, f"{len(split.train):,} interactions to learn from, {split.catalog_size:,} items")
    return split
