"""Draws architecture.svg and rooms.svg beside this file: `make docs`. Plain SVG, no library."""

from html import escape
from pathlib import Path

INK, PALE, LINE = "#1f2933", "#7b8794", "#52606d"
PAPER, TRAIN, ARTIFACT, SERVE, REDIS = "#ffffff", "#e3f0ff", "#fff3d6", "#e4f6e8", "#fde5e1"


class Drawing:
    def __init__(self, width: int, height: int, title: str) -> None:
        self._parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
            f'height="{height}" font-family="Helvetica, Arial, sans-serif" role="img">',
            f"<title>{escape(title)}</title>",
            '<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
            f'orient="auto-start-reverse"><path d="M0 0 L10 5 L0 10 z" fill="{LINE}"/></marker></defs>',
            f'<rect width="{width}" height="{height}" fill="{PAPER}"/>',
        ]

    def box(self, x: int, y: int, width: int, height: int, fill: str, head: str, *lines: str) -> None:
        """A box with its head in bold and lines below it, all in its middle."""
        self._parts.append(
            f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="6" fill="{fill}" stroke="{LINE}"/>'
        )
        top = y + (height - 17 * (len(lines) + bool(head))) / 2 + 13
        if head:
            self.text(x + width / 2, top, head, size=14, bold=True)
        for place, line in enumerate(lines, start=bool(head)):
            self.text(x + width / 2, top + 17 * place, line, size=12, colour=LINE)

    def frame(self, x: int, y: int, width: int, height: int, fill: str, label: str) -> None:
        """A box around others, labelled at its top left."""
        self._parts.append(
            f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="8" fill="{fill}" stroke="{LINE}" '
            'stroke-dasharray="5 4"/>'
        )
        self.text(x + 12, y + 20, label, size=13, bold=True, anchor="start")

    def text(
        self, x: float, y: float, text: str, *, size: int = 12, bold: bool = False, colour: str = INK,
        anchor: str = "middle",
    ) -> None:  # fmt: skip
        weight = ' font-weight="bold"' if bold else ""
        self._parts.append(
            f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="{colour}" text-anchor="{anchor}"{weight}>'
            f"{escape(text)}</text>"
        )

    def arrow(self, *points: tuple[float, float], dashed: bool = False) -> None:
        path = " ".join(f"{x:g},{y:g}" for x, y in points)
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        self._parts.append(
            f'<polyline points="{path}" fill="none" stroke="{LINE}" stroke-width="1.5"{dash} '
            'marker-end="url(#tip)"/>'
        )

    def svg(self) -> str:
        return "\n".join([*self._parts, "</svg>", ""])


def journey() -> str:
    """The journey of a log above, the service below, Redis beside it."""
    d = Drawing(1100, 660, "The journey of a log, and the way of a request")
    _steps(d)
    _ways_of_events(d)
    _service(d)
    _redis(d)
    return d.svg()


def _steps(d: Drawing) -> None:
    d.text(20, 30, "The journey of a log: one verb a step", size=16, bold=True, anchor="start")
    steps = [
        ("interaction log", "CSV, Parquet;", "by day in events/"),
        ("split", "train, validation,", "holdout"),
        ("train", "the ladder,", "tuned on validation"),
        ("export", "ONNX in four sizes,", "parity, sealed"),
        ("measure", "quality on the holdout,", "speed, size, memory"),
        ("promote", "the cheapest that is", "good enough; refit"),
    ]
    for i, (head, *lines) in enumerate(steps):
        d.box(20 + 181 * i, 48, 155, 76, TRAIN, head, *lines)
        if i:
            d.arrow((20 + 181 * i - 26, 86), (20 + 181 * i, 86))
    d.box(382, 160, 155, 52, TRAIN, "adopt", "a graph of your own")
    d.arrow((537, 186), (640, 186), (640, 124))
    lines = "sealed: graph, catalog, popular list, probes", "promoted: one line, which of them serves"
    d.box(750, 160, 330, 70, ARTIFACT, "artifacts/", *lines)
    d.arrow((1002, 124), (1002, 160))


def _ways_of_events(d: Drawing) -> None:
    """Along the lower edge of the journey: what goes between the log and Redis."""
    d.arrow((60, 124), (60, 276), (1072, 276), (1072, 396), (1050, 396))
    d.text(70, 270, "materialize: histories into Redis", colour=PALE, anchor="start")
    d.arrow((1050, 560), (1088, 560), (1088, 252), (120, 252), (120, 124))
    d.text(130, 246, "ingest: what users did, into the log, each event once", colour=PALE, anchor="start")


def _service(d: Drawing) -> None:
    d.text(20, 312, "flyweight serve: the way of a request", size=16, bold=True, anchor="start")
    d.box(
        20,
        386,
        120,
        160,
        PAPER,
        "clients",
        "ask for items,",
        "send events;",
        "each answer says",
        "who gave it,",
        "and why",
    )
    d.frame(170, 326, 674, 300, "#f7f9fa", "our process: signals, drain, exit code")
    d.frame(184, 356, 646, 256, "#eef2f5", "BentoML's parent: the socket; a worker that died comes back")
    d.frame(198, 386, 618, 174, SERVE, "worker, one for each core")
    d.box(212, 414, 190, 56, PAPER, "", "POST /predict, plain:", "the fast lane")
    d.box(212, 484, 190, 56, PAPER, "", "all else: BentoML and", "Starlette, checks, errors")
    d.box(428, 414, 92, 126, PAPER, "batch", "what is", "asked in", "one tick")
    stages = [
        ("features", "one read"), ("encode", "newest last"), ("decode", "ids, reason"), ("predict", "onnxruntime"),
    ]  # fmt: skip
    for i, (head, line) in enumerate(stages):
        d.box(546 + 136 * (i % 2), 414 + 70 * (i // 2), 116, 56, PAPER, head, line)
    same = "worker, the same: each follows the pointer, and changes artifact between two batches"
    d.box(198, 570, 618, 34, SERVE, "", same)
    for y in (442, 512):
        d.arrow((140, y), (212, y))
        d.arrow((402, y), (428, y))
    d.arrow((520, 442), (546, 442))
    d.arrow((662, 442), (682, 442))
    d.arrow((740, 470), (740, 484))
    d.arrow((682, 512), (662, 512))
    d.arrow((604, 540), (604, 550), (152, 550), (152, 528), (140, 528), dashed=True)
    d.arrow((790, 230), (790, 386), dashed=True)
    d.text(780, 304, "loaded, verified, its probes asked", colour=PALE, anchor="end")


def _redis(d: Drawing) -> None:
    d.frame(890, 340, 172, 272, REDIS, "Redis")
    d.box(902, 368, 148, 56, PAPER, "histories", "newest items of each")
    d.box(902, 450, 148, 56, PAPER, "trending", "items by the minute")
    d.box(902, 532, 148, 56, PAPER, "streams", "events, notes")
    d.arrow((890, 442), (816, 442))
    d.text(867, 434, "read", colour=PALE)
    d.arrow((816, 512), (890, 512))
    d.text(867, 504, "write", colour=PALE)
    d.text(976, 632, "our own for trial,", colour=PALE)
    d.text(976, 648, "REDIS_URL in production", colour=PALE)


ROOMS = {
    "flyweight": ("the command line, the client", "imports the others only when a verb is called"),
    "export": ("the bridge: to ONNX, measuring, promotion,", "the report, materialize, ingest"),
    "models": ("logs, splits, the ladder, training", "no onnxruntime, no service"),
    "service": ("answers over HTTP, Redis, events", "no torch, no polars, no models"),
    "contracts": ("names, encoding, artifact, settings, reasons", "numpy and msgspec, no engine"),
    "loadtests": ("speaks HTTP; knows the SLO", "peers/ alone may start the service"),
}


def rooms() -> str:
    """Who may import whom: along the arrows, and no other way."""
    d = Drawing(860, 420, "The rooms, and who may import whom")
    places = {
        "flyweight": (200, 20), "export": (200, 118), "models": (40, 216), "service": (360, 216),
        "contracts": (200, 328), "loadtests": (600, 118),
    }  # fmt: skip
    fills = {"models": TRAIN, "service": SERVE, "contracts": ARTIFACT}
    for name, (x, y) in places.items():
        wide = 240 if name == "loadtests" else 290
        d.box(x, y, wide, 72, fills.get(name, PAPER), f"{name}/", *ROOMS[name])
    d.arrow((345, 92), (345, 118))
    d.arrow((270, 190), (220, 216))
    d.arrow((420, 190), (470, 216))
    d.arrow((220, 288), (270, 328))
    d.arrow((470, 288), (420, 328))
    d.arrow((345, 190), (345, 328))
    d.arrow((700, 190), (650, 240), dashed=True)
    d.text(700, 226, "HTTP", colour=PALE, anchor="start")
    d.arrow((760, 190), (760, 364), (490, 364))
    return d.svg()


def main() -> None:
    for name, draw in (("architecture", journey), ("rooms", rooms)):
        place = Path(__file__).with_name(f"{name}.svg")
        place.write_text(draw())
        print(f"wrote  {place}")


if __name__ == "__main__":
    main()
