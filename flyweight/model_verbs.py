"""Verbs about models and artifacts: train, export, measure, evaluate."""

from pathlib import Path

import click

from contracts.artifact import Artifact
from contracts.faults import UsageFault
from flyweight.tables import evaluation_table, measured_table
from flyweight.verb import THERE, Desk, Outcome, verb


@verb(flags={"seed": ("training", "seed")})
@click.option("--interactions", type=THERE, metavar="FILE", help="The log; it is split as [split] says.")
@click.option("--split", "split_folder", type=THERE, metavar="DIR", help="A split made by `flyweight split`.")
@click.option("--rung", metavar="NAME", help="One rung: popularity, item-to-item, sasrec.")
@click.option("--all", "all_rungs", is_flag=True, help="Every rung, cheapest first.")
@click.option("--search", type=click.FloatRange(0), default=0, metavar="MINUTES", help="Not built yet: 0 only.")
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

    A finished run with the same log, settings, seed and code is reused; an interrupted one resumes.
    """
    from models.ladder import RUNGS
    from models.training import train as train_rung

    if search:
        raise UsageFault(
            "--search is not built yet; leave it at 0. Settings of each rung stand in flyweight.toml."
        )
    rungs = _rungs(rung, all_rungs, RUNGS)
    split = _split_of(desk, interactions, split_folder)
    results = []
    for name in rungs:
        run = train_rung(split, name, desk.settings, desk.out.progress)
        figures = ", ".join(f"{metric} {value:.4f}" for metric, value in run.description.validation.items())
        desk.out.wrote(run.folder, f"{name}: validation {figures}{' (reused)' if run.reused else ''}")
        results.append(run.description)
    return Outcome({"runs": results})


@verb()
@click.option("--rung", metavar="NAME", help="The newest run of this rung.")
@click.option("--all", "all_rungs", is_flag=True, help="The newest run of every rung, all of one log.")
@click.option("--untrained", is_flag=True, help="Random weights over --items made-up items, for load tests only.")
@click.option("--items", type=click.IntRange(10), help="Catalog size, with --untrained.")
def export(desk: Desk, rung: str | None, all_rungs: bool, untrained: bool, items: int | None) -> Outcome:
    """Turn trained runs into sealed ONNX artifacts, checked against the trained model.

    Exit code 1 when the graph and the model disagree; nothing is sealed then.
    """
    from export.exporting import export_run, export_untrained
    from models.ladder import RUNGS, UNTRAINED_RUNGS
    from models.training import newest_run, newest_runs_together

    if untrained != bool(items):
        raise UsageFault("--untrained needs --items N, the size of the made-up catalog; only it takes --items.")
    artifacts = []

    def wrote(artifact: Artifact) -> None:
        desk.out.wrote(artifact.path, f"{artifact.name}, {artifact.size_bytes / 1e6:.2f} MB, parity holds")
        artifacts.append(artifact)

    if untrained:
        for name in _rungs(rung, all_rungs, UNTRAINED_RUNGS):
            wrote(export_untrained(name, items, desk.settings, desk.out.progress))
    else:
        _rungs(rung, all_rungs, RUNGS)
        runs = desk.settings.paths.runs
        for run in [newest_run(runs, rung)] if rung else newest_runs_together(runs):
            desk.out.read(run.folder, run.description.rung)
            wrote(export_run(run, desk.settings, desk.out.progress))
    return Outcome({"artifacts": [{"path": str(a.path), "version": a.version} for a in artifacts]})


@verb()
@click.argument("artifacts", nargs=-1, metavar="[ARTIFACT]...")
def measure(desk: Desk, artifacts: tuple[str, ...]) -> Outcome:
    """Measure artifacts side by side: quality on the holdout, size, memory, start, speed.

    Without ARTIFACT: the newest of each name that was trained on the same split as the newest of all.
    The baseline popularity:fp32 is always among them.
    """
    from export.candidates import choose_candidates, split_of
    from export.measuring import measure as measure_all

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
def evaluate(
    desk: Desk, artifact: str, interactions: Path, history: Path | None, protocol: str, seen: str | None
) -> Outcome:
    """Evaluate any artifact on any log, through the predictor that serves, over the full catalog."""
    from contracts.pointer import find_artifact
    from export.log_evaluation import evaluate_on_log

    found = find_artifact(desk.settings.paths.artifacts, artifact)
    desk.out.read(found.path, f"{found.name} {found.version}")
    result = evaluate_on_log(found, interactions, history, protocol, seen, desk.settings, desk.out.progress)
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
    from models.split import open_split, split_log

    if bool(interactions) == bool(split_folder):
        raise UsageFault("say either --interactions FILE or --split DIR: what should be learned from?")
    log = interactions
    split = open_split(split_folder) if split_folder else split_log(log, desk.settings, desk.out.progress)
    desk.out.read(split.folder, f"{len(split.train):,} interactions to learn from, {split.catalog_size:,} items")
    return split
