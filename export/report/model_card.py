"""The model card of the winner: what it is, what it learned from, what it is for, and how to make it again."""

import datetime

import msgspec

from contracts.artifact import Artifact, Training
from export.measuring.measured import Candidate
from export.report.gathering import Report
from export.report.markup import Html, element, facts, interval, joined, number, row, table
from models.ladder import RUNGS
from models.logs.timestamps import ORDER
from models.splits.split import Split

_KINDS = {
    "popularity": "a list of items by popularity, recent interactions counting more",
    "item-to-item": "for every item its closest neighbours, summed over the history",
    "vmis-knn": "the training sessions nearest to the history vote for their items",
    "ials": "matrix factorisation, the history folded in",
    "ease": "a linear item-item model in closed form, its strongest weights kept",
    "sasrec": "a transformer over the history",
    "blend": "a transformer and item-to-item in one graph",
    "student": "a small model taught by the best of the ladder",
}
_ADOPTED = "a graph that was trained elsewhere and brought along"
_POLICIES = {
    "mask": "items already in the history are never recommended",
    "keep": "items already in the history compete like all others",
    "drop-last": "of the history only the newest item is left out",
    "first": "items already in the history come first, the most frequent on top",
}
SHOWN_PROBES, SHOWN_ITEMS = 3, 3


def model_card(report: Report) -> Html:
    """Of the winner; the report must have one."""
    winner = report.winner
    artifact = winner.artifact
    return joined(
        element("h3", "What it is"),
        _identity(artifact, report.serving),
        element("h3", "What it learned from"),
        _learned_from(artifact.manifest.training, report.split),
        element("h3", "What was chosen on the validation part"),
        _chosen(artifact.manifest.training),
        element("h3", "What it is for, and its limits"),
        _use(winner),
        element("h3", "How good it is, by slice"),
        _slices(winner),
        element("h3", "What it answers"),
        _examples(artifact),
        element("h3", "How to make it again"),
        _again(artifact),
    )


def _identity(artifact: Artifact, serving: Artifact | None) -> Html:
    manifest = artifact.manifest
    again = []
    if serving and serving.manifest.training and serving.manifest.figures_of == artifact.version:
        parts = " and ".join(serving.manifest.training.parts)
        again = [("serves as", joined(element("code", serving.version), f", trained again on {parts}"))]
    policy = manifest.repeat_policy
    return facts([
        ("model", f"{artifact.name}: {_KINDS.get(manifest.rung, _ADOPTED)}"),
        ("version", element("code", artifact.version)),
        *again,
        ("run", element("code", manifest.run)),
        ("sees", f"the newest {manifest.max_history} items of a history, out of a catalog of {manifest.items:,}"),
        ("seen items", f"{policy}: {_POLICIES.get(policy, policy)}"),
        ("files", f"{number(artifact.size_bytes / 1e6)} MB, ONNX opset {manifest.opset}"),
    ])  # fmt: skip


def _learned_from(training: Training | None, split: Split | None) -> Html:
    if training is None:
        return element("p", "Nothing: its weights are random. It is for load tests only.")
    pairs = [
        ("log", joined("sha256 ", element("code", training.log_sha256))),
        ("split", joined(training.protocol, ", sha256 ", element("code", training.split_sha256))),
        ("parts", ", ".join(training.parts)),
        ("size", f"{training.interactions:,} interactions of {training.users:,} users"),
    ]
    if split:
        pairs.append(("period", _period(split)))
        held_back = split.description.parts["holdout"]
        pairs.append(("kept for judging", f"{held_back.interactions:,} interactions of {held_back.users:,} users"))
    return facts(pairs)


def _chosen(training: Training | None) -> Html:
    """What the validation part decided."""
    if not training or not training.chosen:
        return element("p", "Nothing was chosen.")
    return facts([(name.replace("-", " "), f"{value:g}") for name, value in training.chosen.items()])


def _period(split: Split) -> str:
    first, last = int(split.train.times.min()), int(split.train.times.max())
    if split.description.timestamp_kind == ORDER:
        return "the log has an order, no dates"
    cutoffs = split.description.validation_cutoff, split.description.holdout_cutoff
    later = "; validation from {}, holdout from {}".format(*map(_day, cutoffs)) if None not in cutoffs else ""
    return f"train {_day(first)} to {_day(last)}{later}"


def _day(milliseconds: int) -> str:
    return datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.UTC).strftime("%Y-%m-%d")


def _use(winner: Candidate) -> Html:
    quality = winner.measured.quality
    unknown = 100 * quality.unknown_targets / max(quality.evaluations, 1)
    covered = quality.metrics.get("Coverage@10")
    limits = [
        "For ranking the items of this catalog for users of the service whose log it learned from. Not for "
        "decisions about people, and not for another catalog: train it on the log in question.",
        f"It cannot recommend an item that came after training: {number(unknown)} % of what was asked for on the "
        "holdout was outside the catalog, and counts as missed.",
        "A user without a history gets the popular list; see the slice of cold users below.",
        "The holdout says what people did under the recommendations of their time, not what they would have done "
        "with these: an A/B test has the last word.",
    ]
    if covered:
        shown = f"its top 10 show {number(100 * covered.value)} % of the catalog"
        drawn = f"In {quality.asked} on the holdout {shown}; more answers would show more."
        limits.append(
            drawn if quality.not_asked else f"Over the whole holdout {shown}; the rest is never recommended."
        )
    return element("ul", *(element("li", limit) for limit in limits))


def _slices(winner: Candidate) -> Html:
    quality = winner.measured.quality
    names = list(quality.metrics)
    parts = [("all", quality.evaluations, quality.metrics)]
    parts += [(name, part.evaluations, part.metrics) for name, part in quality.slices.items()]
    rows = [
        row(element("th", name, scope="row", class_="name"), f"{count:,}", *(interval(m.get(n)) for n in names))
        for name, count, m in parts
    ]
    first = element("th", "slice", class_="name")
    return table([row(first, "evaluations", *names, heading=True)], rows)


def _examples(artifact: Artifact) -> Html:
    """A few of the sealed probes, with titles. Their answers leave out what was seen, whatever the policy is."""
    catalog = artifact.catalog
    rows = []
    for probe in artifact.probes[:SHOWN_PROBES]:
        newest = "; ".join(catalog.title(item) for item in probe.history[-SHOWN_ITEMS:])
        answer = "; ".join(catalog.title(item) for item in probe.items[:SHOWN_ITEMS])
        rows.append(row(element("td", newest, class_="why"), element("td", answer, class_="why")))
    headings = row("after (newest last)", "it recommends, of what is new to the user", heading=True)
    return table([headings], rows, class_="examples")


def _again(artifact: Artifact) -> Html:
    training, manifest = artifact.manifest.training, artifact.manifest
    if training is None:
        command = f"flyweight export --untrained --items {manifest.items} --rung {manifest.rung}"
        return element("pre", command)
    learned = artifact.name if manifest.variant == "jpq" else manifest.rung
    made = [
        f"flyweight train --interactions LOG --rung {learned} --seed {training.seed}",
        f"flyweight export --rung {learned}",
    ]
    if manifest.rung not in RUNGS:
        made = [f"flyweight adopt MODEL.onnx --name {manifest.rung} --interactions LOG"]
    commands = "\n".join([
        *made,
        "flyweight measure",
        "flyweight promote",
    ])  # fmt: skip
    settings = msgspec.json.format(msgspec.json.encode(training.settings, order="sorted"), indent=2).decode()
    libraries = ", ".join(f"{name} {version}" for name, version in sorted(training.libraries.items()))
    return joined(
        element("p", "With the log and split of the checksums above, and the settings below in flyweight.toml:"),
        element("pre", commands),
        facts([
            ("seed", training.seed),
            ("code revision", element("code", training.code_revision)),
            ("libraries", libraries),
        ]),
        element("details", element("summary", "settings it was trained with"), element("pre", settings)),
    )  # fmt: skip
