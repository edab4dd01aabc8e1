"""The verbs of the command line that write, on a log of a size that trains in a second."""

import contextlib
import io
import itertools
import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
from contract_steps import promote_the_first_of_two, seal_artifact, view_artifacts, view_item_numbers
from step import Step, View, digest

SLOW = (
    "torch._inductor",
    "onnxscript",
    "models.logs.sample",
    "export.exporting",
    "export.measuring.candidates",
    "export.promotion.bundle",
)

SETTINGS = """
[training]
max-history = 10
threads = 1
[popularity]
half-lives-days = [7.0]
[item-to-item]
neighbours = [5]
windows = [5]
decays = [0.6]
idf = [0.5]
[sasrec]
dimension = 8
layers = 1
heads = 1
epochs = 2
[measuring]
batch-sizes = [1]
rounds = 1
calls-per-round = 5
resamples = 100
"""
SAMPLE = "sample --users 80 --items 40 --interactions 1500"
SPLIT = "split --interactions log --out cut"
TRAIN = "train --split cut"
PROMOTE = "promote popularity:fp32 --force"


def run_verbs(*commands: str) -> Callable[[Path], None]:
    """A function that runs command lines of `flyweight` in a folder. Each must end with exit code 0."""

    def run(folder: Path) -> None:
        from flyweight.cli import main

        os.chdir(folder)
        Path("flyweight.toml").write_text(SETTINGS) if not Path("flyweight.toml").exists() else None
        for command in commands:
            said = io.StringIO()
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                try:
                    main(command.split(), standalone_mode=False)
                except SystemExit as end:
                    if end.code:
                        raise RuntimeError(f"{command}: exit code {end.code}: {said.getvalue()}") from None

    return run


def view_log(folder: Path) -> View:
    from contracts.sections import Log as Columns
    from models.logs.log import read_log

    log = read_log(folder / "log", Columns())
    return {"log": [log.sha256, len(log.frame), len(log.titles)]}


def view_split(folder: Path) -> View:
    from models.splits.split import open_split

    split = open_split(folder / "cut")
    parts = [[part.users, part.items, part.times] for part in (split.train, split.validation, split.holdout())]
    return {"split": digest(split.description, split.item_ids, split.titles, *itertools.chain(*parts))}


def view_runs(folder: Path) -> View:
    """The weights of every finished run. What an unfinished one would go on from must be whole as well."""
    from safetensors.numpy import load_file

    from models.runs import CHECKPOINT, find_runs

    for checkpoint in (folder / "runs").glob(f"*/{CHECKPOINT}"):
        load_file(checkpoint)
    view: View = {}
    for run in find_runs(folder / "runs"):
        arrays = [np.asarray(array) for _, array in sorted(run.model().to_arrays().items())]
        view[run.folder.name] = digest(run.description, *arrays)
    return view


def view_export(folder: Path) -> View:
    return view_artifacts(folder / "artifacts") | view_item_numbers(folder / "artifacts")


def view_figures(folder: Path) -> View:
    """What does not depend on how fast the machine is just now."""
    from contracts.artifact import sealed_artifacts
    from export.measuring.measured import Measured

    view: View = {}
    for found in sealed_artifacts(folder / "artifacts"):
        for path in found.path.glob("measured-*.json"):
            measured = msgspec.json.decode(path.read_bytes(), type=Measured)
            view[found.name] = [measured.run, digest(measured.quality)]
    return view


def view_promotion(folder: Path) -> View:
    """A promotion that was killed may be recorded twice, once for each time that it was run."""
    from contracts.promotions import read_record

    record = [f"{entry.action} {entry.artifact}" for entry in read_record(folder / "artifacts")]
    view: View = {"record": [entry for entry, _ in itertools.groupby(record)]}
    view |= view_artifacts(folder / "artifacts")
    if (folder / "bundle").exists():
        view["bundle"] = view_artifacts(folder / "bundle")
    return view


def bring_a_graph_along(folder: Path) -> None:
    """Every item scores as often as it is in the history."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    from models.splits.split import open_split

    items = open_split(folder / "cut").catalog_size
    nodes = [
        helper.make_node("Gather", ["table", "history"], ["rows"]),
        helper.make_node("ReduceSum", ["rows", "one"], ["scores"], keepdims=0),
    ]
    tables = {"table": np.eye(items + 1, items, dtype=np.float32), "one": np.array([1])}
    graph = helper.make_graph(
        nodes,
        "counts",
        [helper.make_tensor_value_info("history", TensorProto.INT64, ["batch", "length"])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", items])],
        [numpy_helper.from_array(array, name) for name, array in tables.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), "own.onnx")


def build_graph_brought_along(folder: Path) -> None:
    run_verbs(f"{SAMPLE} --out log", SPLIT, f"{TRAIN} --rung popularity")(folder)
    bring_a_graph_along(folder)


def view_adopted(folder: Path) -> View:
    from models.runs import find_runs

    adopted = [run for run in find_runs(folder / "runs") if run.description.is_adopted]
    return view_export(folder) | {run.folder.name: digest(run.description) for run in adopted}


def build_two_artifacts(folder: Path) -> None:
    (folder / "flyweight.toml").write_text(SETTINGS)
    promote_the_first_of_two(folder / "artifacts")


def build_two_promotions(folder: Path) -> None:
    for run in "one", "two":
        seal_artifact(folder / "artifacts", run=run)
        run_verbs(PROMOTE)(folder)


def roll_back_unless_done(folder: Path) -> None:
    """Rolling back twice would go back two promotions, so who was interrupted looks first."""
    from contracts.artifact import sealed_artifacts
    from contracts.pointer import read_pointer

    first, _ = sealed_artifacts(folder / "artifacts")
    if read_pointer(folder / "artifacts") != first.path:
        run_verbs("rollback")(folder)


VERB_STEPS = {
    "sample": Step(
        build=run_verbs(f"{SAMPLE} --out log --seed 1"),
        act=run_verbs(f"{SAMPLE} --out log --seed 2"),
        view=view_log,
        kills=3,
        slow=SLOW,
    ),
    "split": Step(
        build=run_verbs(f"{SAMPLE} --out log", f"{SPLIT} --protocol leave-one-out"),
        act=run_verbs(SPLIT),
        view=view_split,
        kills=3,
        slow=SLOW,
    ),
    "train": Step(
        build=run_verbs(f"{SAMPLE} --out log", SPLIT),
        act=run_verbs(f"{TRAIN} --rung sasrec"),
        view=view_runs,
        kills=3,
        slow=SLOW,
    ),
    "export": Step(
        build=run_verbs(f"{SAMPLE} --out log", SPLIT, f"{TRAIN} --rung item-to-item"),
        act=run_verbs("export --rung item-to-item"),
        view=view_export,
        kills=3,
        slow=SLOW,
    ),
    "adopt": Step(
        build=build_graph_brought_along,
        act=run_verbs("adopt own.onnx --name own --split cut"),
        view=view_adopted,
        kills=2,
        slow=SLOW,
    ),
    "measure": Step(
        build=run_verbs(f"{SAMPLE} --out log", SPLIT, f"{TRAIN} --rung popularity", "export --rung popularity"),
        act=run_verbs("measure"),
        view=view_figures,
        kills=2,
        slow=SLOW,
    ),
    "promote": Step(
        build=build_two_artifacts,
        act=run_verbs(PROMOTE),
        view=view_promotion,
        kills=6,
        slow=SLOW,
    ),
    "promote and refit": Step(
        build=run_verbs(
            f"{SAMPLE} --out log", SPLIT, f"{TRAIN} --rung popularity", "export --rung popularity", "measure"
        ),
        act=run_verbs("promote"),
        view=view_promotion,
        kills=3,
        slow=SLOW,
    ),
    "rollback": Step(
        build=build_two_promotions,
        act=roll_back_unless_done,
        view=view_promotion,
        kills=6,
        slow=SLOW,
    ),
}
