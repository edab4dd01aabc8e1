"""Load tests of several artifacts as a table for a terminal."""

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table

from loadtests.capacity_words import comparison_row
from loadtests.comparison import Compared

_FIGURES = ("requests/s", "CPU us per\nrequest", "requests/s\nper vCPU", "vCPUs", "a month")


def comparison_table(compared: Sequence[Compared]) -> Table:
    """One row per artifact: quality, what one machine carries of it beside the generator, what the service's own
    CPU time would carry alone, and what the target rate takes by that."""
    sizing = next((one.sizing for one in compared if one.sizing), None)
    title = "requests/s: the highest rate that keeps the SLO, of one machine"
    if sizing:
        title += f"; planned for {sizing.target_rate:,.0f} requests/s with {sizing.headroom:.0%} kept free"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("artifact", no_wrap=True)
    for heading in (compared[0].metric, *_FIGURES):
        table.add_column(heading, justify="right")
    for one in compared:
        table.add_row(*comparison_row(one))
    return table
