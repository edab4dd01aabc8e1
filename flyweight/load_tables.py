"""Load tests of several artifacts as a table for a terminal."""

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table

from loadtests.capacity_words import comparison_row, headings
from loadtests.comparison import Rated


def comparison_table(rated: Sequence[Rated]) -> Table:
    """One row per artifact: quality, what one machine carries of it beside the generator, what the service's own
    CPU time would carry alone, and what the target rate takes by that."""
    sizing = next((one.sizing for one in rated if one.sizing), None)
    title = "requests/s: the highest rate that keeps the SLO, of one machine"
    if sizing:
        title += f"; planned for {sizing.target_rate:,.0f} requests/s with {sizing.headroom:.0%} kept free"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    first, *others = headings(rated[0].metric)
    table.add_column(first, no_wrap=True)
    for heading in others:
        table.add_column(heading.replace(" per ", "\nper "), justify="right")
    for one in rated:
        table.add_row(*comparison_row(one))
    return table
