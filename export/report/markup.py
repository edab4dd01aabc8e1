"""HTML and figures as text: what every section of the report is made of."""

import math
from html import escape

from export.measuring.evaluation import Estimate

ABSENT = "–"


class Html(str):
    """Markup that stands as it is. Any other text is escaped where it enters an `element`."""


def element(name: str, *children: object, **attributes: object) -> Html:
    """One element. `class_="x"` gives `class="x"`, `aria_label` gives `aria-label`; None leaves one out."""
    shown = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{shown}>{joined(*children)}</{name}>")


def joined(*children: object) -> Html:
    return Html("".join(child if isinstance(child, Html) else escape(str(child)) for child in children))


def table(headings: list[Html], rows: list[Html], **attributes: object) -> Html:
    """A table that scrolls sideways on a narrow screen instead of widening the page."""
    head, body = element("thead", *headings), element("tbody", *rows)
    return element("div", element("table", head, body, **attributes), class_="scroll", tabindex="0")


def row(*cells: object, heading: bool = False, **attributes: object) -> Html:
    """A table row; what is no cell yet becomes one."""
    name = "th" if heading else "td"
    made = (cell if str(cell).startswith(("<td", "<th")) else element(name, cell) for cell in cells)
    return element("tr", *made, **attributes)


def facts(pairs: list[tuple[str, object]]) -> Html:
    """A list of what is said of something, as a table of two columns."""
    rows = [element("tr", element("th", name, scope="row"), element("td", value)) for name, value in pairs]
    return element("table", element("tbody", *rows), class_="facts")


def number(value: float | None, digits: int = 3, sign: str = "") -> str:
    """At most `digits` significant digits, thousands apart; absent and NaN are a dash."""
    if value is None or not math.isfinite(value):
        return ABSENT
    rounded = float(f"{value:.{digits}g}")
    decimals = 0 if rounded == 0 else max(0, digits - 1 - math.floor(math.log10(abs(rounded))))
    return f"{rounded:{sign},.{decimals}f}".replace("-", "−")


def score(value: float | None, sign: str = "") -> str:
    """A quality figure, a share between 0 and 1 or a difference of two: four decimals."""
    if value is None or not math.isfinite(value):
        return ABSENT
    rounded = round(value, 4) or 0.0  # no sign before what rounds to nothing
    return f"{rounded:{sign if rounded else ''}.4f}".replace("-", "−")


def interval(estimate: Estimate | None, sign: str = "") -> Html:
    """The value with its 95 % interval in small beneath it; what was counted, not estimated, has none."""
    if estimate is None or not math.isfinite(estimate.value):
        return Html(ABSENT)
    if estimate.low == estimate.high:
        return joined(score(estimate.value, sign))
    limits = f"{score(estimate.low, sign)} to {score(estimate.high, sign)}"
    return joined(score(estimate.value, sign), element("small", limits))
