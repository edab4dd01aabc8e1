"""The published protocols on any logs, with the defaults alone: `make protocols LOGS=FOLDER`.

A folder in LOGS with `interactions.*` is asked leave-one-out: the last item of every user, over the full
catalog, seen items masked. A folder with `train.*` and `test.*` is asked every-prefix: the ladder learns from
train, is refitted on all of it, and is asked after every prefix of every session of test. Writes
`reports/protocols.md`.
"""

import sys
from pathlib import Path

from msgspec.structs import replace

from contracts import durable
from contracts.artifact import Artifact, open_artifact
from contracts.sections import Paths, Settings
from contracts.settings import read_settings
from export.exporting import export_run
from export.measuring.evaluation import Evaluation
from export.measuring.log_evaluation import evaluate_on_log
from flyweight.console import Reporter
from models.ladder import TRAININGS
from models.runs import Run
from models.splits.split import split_log
from models.training import refit, refusal, train

LEAVE_ONE_OUT, EVERY_PREFIX = "leave-one-out", "every-prefix"
COLUMNS = {
    LEAVE_ONE_OUT: ("NDCG@10", "HitRate@10", "MRR@20"),
    EVERY_PREFIX: ("MRR@20", "HitRate@20", "NDCG@10"),
}


def walk(log: Path, test: Path, protocol: str, settings: Settings, out: Reporter) -> list[tuple[str, Evaluation]]:
    """Every training that the log can have, and how it answers."""
    split = split_log(log, settings, out.progress)
    figures = []
    for name in TRAININGS:
        if why := refusal(split, name, settings):
            out.say(why)
            continue
        run = train(split, name, settings, out.progress)
        if protocol == EVERY_PREFIX:
            run = refit(run, split, settings, out.progress)
        artifact = _fp32_of(run, settings, out)
        evaluation = evaluate_on_log(artifact, test, None, protocol, None, settings, out.progress)
        figures.append((name, evaluation))
        out.say(_line(log.name, name, protocol, evaluation))
    return figures


def _fp32_of(run: Run, settings: Settings, out: Reporter) -> Artifact:
    attempt = export_run(run, settings, out.progress, variants=("fp32",))[0]
    return open_artifact(settings.paths.artifacts / attempt.artifact)


def _line(log: str, name: str, protocol: str, evaluation: Evaluation) -> str:
    cells = []
    for column in COLUMNS[protocol]:
        found = evaluation.metrics[column]
        cells.append(f"{column} {found.value:.4f} [{found.low:.4f}, {found.high:.4f}]")
    asked = f"{evaluation.evaluations:,} questions, seen items: {evaluation.seen}"
    return f"| {log} | {protocol} | {name} | {' | '.join(cells)} | {asked} |"


def main(logs: Path) -> None:
    settings, lines = read_settings(), []
    with Reporter() as out:
        for folder in sorted(path for path in logs.iterdir() if path.is_dir()):
            root = settings.paths.runs / "protocols" / folder.name
            paths = Paths(**{name: root / name for name in ("artifacts", "runs", "reports", "bundle", "state")})
            log, tests = folder, sorted(folder.glob("test.*"))
            protocol = EVERY_PREFIX if tests else LEAVE_ONE_OUT
            own = replace(settings, paths=paths, training=replace(settings.training, refit="all"))
            if tests:
                (log,) = folder.glob("train.*")
            elif list(folder.glob("interactions.*")):
                own = replace(own, split=replace(own.split, protocol=LEAVE_ONE_OUT))
            else:
                continue
            walked = walk(log, tests[0] if tests else folder, protocol, own, out)
            lines += [_line(folder.name, name, protocol, evaluation) for name, evaluation in walked]
        place = settings.paths.reports / "protocols.md"
        durable.write_bytes(place, ("\n".join(lines) + "\n").encode())
        out.wrote(place, "the figures")


if __name__ == "__main__":
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        sys.exit("say LOGS=FOLDER, a folder that holds one folder per log; see tests/quality/protocols.py")
    main(Path(sys.argv[1]))
