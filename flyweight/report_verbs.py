"""Verbs that explain: report, diff."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.box import SIMPLE_HEAD
from rich.table import Table

from flyweight.verb import A_PATH, Desk, Outcome, verb

if TYPE_CHECKING:
    from export.difference import AnswerChange, CatalogChange, Difference

REPORT = "report.html"


@verb()
@click.option("--out", type=A_PATH, metavar="FILE", help=f"Instead of {REPORT} among the reports.")
def report(desk: Desk, out: Path | None) -> Outcome:
    """Write what was measured together last as one HTML page: plots, table, decision, model card.

    The page needs no network and no script. It tells the decision of the last `flyweight promote`.
    """
    from contracts.faults import UsageFault
    from export.report.page import write_report

    page = out or desk.settings.paths.reports / REPORT
    if page.is_dir():
        raise UsageFault(f"{page} is a directory. Name the file to write, as in --out {page / REPORT}.")
    told = write_report(desk.settings, page)
    winner = told.winner.artifact if told.winner else None
    desk.out.wrote(page, f"{len(told.candidates)} artifacts. {told.headline}")
    return Outcome({
        "report": str(page),
        "artifacts": [c.artifact.name for c in told.candidates],
        "winner": winner and winner.name,
    })  # fmt: skip


@verb()
@click.argument("a")
@click.argument("b")
def diff(desk: Desk, a: str, b: str) -> Outcome:
    """Say what differs between the artifacts A and B (data, configuration, code, libraries, files), and how
    their answers to the histories of their probes differ.

    The exit code is 0 whether they differ or not.
    """
    from contracts.pointer import find_artifact
    from export.difference import differ

    left, right = (find_artifact(desk.settings.paths.artifacts, reference) for reference in (a, b))
    for letter, artifact in (("A", left), ("B", right)):
        desk.out.read(artifact.path, f"{letter}: {artifact.name} {artifact.version}")
    difference = differ(left, right)
    if difference.same_bytes:
        desk.out.say("same bytes: nothing differs")
    else:
        for told in _told(difference):
            desk.out.say(told)
    return Outcome(difference)


def _told(difference: "Difference") -> list[object]:
    """Tables and lines for a terminal, in the order of what explains most."""
    made = _table("made from", "", "A", "B")
    for change in difference.changes:
        made.add_row(change.group, change.what, _shown(change.a), _shown(change.b))
    files = _table("files", "", "A, bytes", "B, bytes")
    for file in difference.files:
        said = "same bytes" if file.same else "differs"
        files.add_row(file.name, said, _shown(file.a_bytes), _shown(file.b_bytes))
    files.add_row("in all", "", _shown(difference.a.size_bytes), _shown(difference.b.size_bytes))
    told = [made] if difference.changes else ["made from the same: no key of the manifests differs"]
    return [*told, files, _catalog_told(difference.catalog), _answers_told(difference.answers)]


def _table(*headings: str) -> Table:
    return Table(*headings, box=SIMPLE_HEAD)


def _shown(value: object) -> str:
    """A checksum by its beginning, a number with its thousands apart."""
    if value is None or value == "":
        return "none"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, str) and len(value) == 64:
        return value[:12]
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _catalog_told(change: "CatalogChange") -> str:
    parts = [f"catalog: {change.a_items:,} items in A, {change.b_items:,} in B"]
    for count, word, named in (
        (change.added, "added", change.some_added),
        (change.removed, "removed", change.some_removed),
    ):
        more = ", ..." if count > len(named) else ""
        parts.append(f"{count:,} {word}" + (f" ({', '.join(named)}{more})" if count else ""))
    parts.append("same order" if change.same_order else "another order")
    if change.titles_changed:
        parts.append(f"{change.titles_changed:,} titles changed")
    return "; ".join(parts)


def _answers_told(change: "AnswerChange | None") -> str:
    if change is None:
        return "answers: neither artifact seals a probe to ask"
    return (
        f"answers to {change.histories} histories of the probes: top-10 overlap {change.overlap_mean:.1%} in the "
        f"mean, {change.overlap_worst:.0%} at worst; the first item is the same in {change.same_first:.0%}, the "
        f"whole list in {change.same_list:.0%}"
    )
