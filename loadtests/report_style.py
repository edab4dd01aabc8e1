"""How the report of a load test looks: its elements, numbers and style. Light, for screen and paper."""

import math
from collections.abc import Iterable, Iterator, Mapping
from html import escape

from loadtests.objectives import JudgedObjective

ABSENT = "–"
_MOST_ROWS = 20


class Html(str):
    """Markup that stands as it is. Any other text is escaped where it enters an `element`."""


def element(name: str, *children: object, **attributes: str) -> Html:
    """One element. `class_="x"` gives `class="x"`."""
    shown = "".join(f' {key.rstrip("_")}="{escape(value)}"' for key, value in attributes.items())
    return Html(f"<{name}{shown}>{joined(*children)}</{name}>")


def joined(*children: object) -> Html:
    return Html("".join(child if isinstance(child, Html) else escape(str(child)) for child in children))


def document(title: str, sections: Iterable[Html]) -> str:
    """A page that needs nothing else."""
    head = joined(
        Html('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
        element("title", title),
        element("style", Html(STYLE)),
    )
    body = element("body", element("main", *sections))
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n{body}</html>\n'


def section(title: str, *content: object) -> Html:
    return joined("\n", element("section", element("h2", title), *content))


def table(headings: Iterable[object], rows: Iterable[Iterable[object]]) -> Html:
    """A table whose first column names what the others tell."""
    head = element("tr", *(element("th", heading, scope="col") for heading in headings))
    body = (element("tr", *(element("td", ABSENT if cell is None else cell) for cell in cells)) for cells in rows)
    return element("div", element("table", element("thead", head), element("tbody", *body)), class_="scroll")


def objectives_table(judged: Iterable[tuple[str, JudgedObjective]]) -> Html:
    """What was asked and what was found, with units. `judged`: what each is about, and the objective."""
    words = {True: element("b", "✓ met", class_="met"), False: element("b", "✗ MISSED", class_="missed")}
    rows = []
    for of_what, one in judged:
        asked = f"{of_what}: {one.expression}" if of_what else one.expression
        if one.is_latency:
            rows.append((f"{asked} ms", milliseconds(one.value), words[one.met]))
        else:
            rows.append((asked, percent(one.value), words[one.met]))
    return table(("objective", "found", "verdict"), rows)


def facts(pairs: Iterable[tuple[str, object]]) -> Html:
    """What is said of something, as a table of two columns."""
    rows = (element("tr", element("th", name, scope="row"), element("td", value)) for name, value in pairs)
    return element("table", element("tbody", *rows), class_="facts")


def tiles(shown: Iterable[tuple[str, str, str]]) -> Html:
    """What it is, the figure in large, and more of it in small."""
    made = (element("span", what) + element("b", figure) + element("small", more) for what, figure, more in shown)
    return element("div", *(element("div", Html(tile), class_="tile") for tile in made), class_="tiles")


def counted(title: str, counter: Mapping[str, int], whole: int, of_what: str) -> Html:
    """How often what was met: the most frequent first, and the rest in one sum."""
    ordered = sorted(counter.items(), key=lambda entry: (-entry[1], entry[0]))
    shown, others = ordered[:_MOST_ROWS], ordered[_MOST_ROWS:]
    if others:
        shown.append((f"{len(others):,} other kinds", sum(count for _, count in others)))
    rows = [(name, f"{count:,}", percent(count / whole)) for name, count in shown]
    content = table(("", "number", f"of the {of_what}"), rows) if rows else element("p", "None.")
    return element("div", element("h3", title), content)


def named_values(value: object, name: str = "") -> Iterator[tuple[str, str]]:
    """What JSON holds, a line for each value, named by the way that leads to it."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from named_values(inner, f"{name} {str(key).replace('_', ' ')}".strip())
    elif isinstance(value, list):
        yield name, ", ".join(map(str, value))
    elif isinstance(value, bool) or value is None:
        yield name, {True: "yes", False: "no"}.get(value, ABSENT)
    else:
        yield name, f"{value:,}" if isinstance(value, int) else str(value)


def number(value: float) -> str:
    """Three digits that count, or all before the point."""
    if value == 0:
        return "0"
    decimals = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{decimals}f}"


def milliseconds(value: float | None) -> str:
    return "too many failed" if value is None else f"{number(value)} ms"


def percent(share: float | None) -> str:
    """A share in percent, with three digits that count of it, or of what it lacks to be all."""
    if share in (0, 1, None):
        return {0: "0 %", 1: "100 %"}.get(share, ABSENT)
    decimals = max(1, 2 - math.floor(math.log10(100 * min(share, abs(1 - share)))))
    return f"{100 * share:.{decimals}f}".rstrip("0").rstrip(".") + " %"


STYLE = """
:root{--paper:#fff;--ink:#1c2127;--quiet:#5b6570;--line:#d9dee4;--card:#f5f7f9;--good:#15703a;--bad:#b3261e;
--doubt:#8a5a00;color-scheme:light}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
main{max-width:60rem;margin:0 auto;padding:1.5rem 1rem 4rem}
h1{font-size:2.6rem;line-height:1.15;margin:.1rem 0 .3rem}
h2{font-size:1.3rem;margin:2.2rem 0 .5rem;padding-top:.6rem;border-top:1px solid var(--line)}
h3{font-size:1rem;margin:1.2rem 0 .3rem}
p,ul{max-width:75ch;margin:.5rem 0}
h1,p,li,.facts td{overflow-wrap:anywhere}
code{font:.88em ui-monospace,monospace}
header{border-left:.6rem solid;margin-bottom:1rem;padding:.7rem 1.1rem;background:var(--card)}
header p,header td{color:var(--ink)}
header .title{color:var(--quiet);margin:0}
.reason{font-size:1.1rem}
.met{color:var(--good)}.missed{color:var(--bad)}.not-valid{color:var(--doubt)}
.quiet{color:var(--quiet);font-size:.9rem}
.problems{border-left:4px solid var(--doubt);padding-left:1.6rem}
.tiles{display:flex;flex-wrap:wrap;gap:.7rem;margin:1.2rem 0}
.tile{flex:1 1 7rem;background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:.6rem .8rem}
.tile span{display:block;color:var(--quiet);font-size:.85rem}
.tile b{font-size:1.15rem}.tile small{display:block;color:var(--quiet);font-size:.82rem}
.plot{margin:.5rem 0}
.plot svg{width:100%;height:auto;display:block}
.plot svg *{stroke-linejoin:round;stroke-linecap:butt}
.tables{display:flex;flex-wrap:wrap;gap:0 2rem}
.tables>div{flex:1 1 26rem;min-width:0}
.scroll{overflow-x:auto}
table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums;margin:.4rem 0}
th,td{padding:.3rem .8rem .3rem 0;text-align:right;vertical-align:top;border-bottom:1px solid var(--line)}
th{font-weight:600;color:var(--quiet)}
th:first-child,td:first-child,.facts td{text-align:left}
td:not(:first-child){white-space:nowrap}
.facts th{font-weight:400;padding-right:1.5rem}
.facts td{white-space:normal}
@media (max-width:40rem){h1{font-size:2rem}main{padding:.7rem .7rem 3rem}}
@media print{@page{size:A4;margin:1.3cm}:root{font-size:11px}body{font-size:1rem}main{max-width:none;padding:0}
.scroll{overflow:visible}tr,figure,.tile,header{break-inside:avoid}h2,h3,.quiet{break-after:avoid}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
""".strip()
