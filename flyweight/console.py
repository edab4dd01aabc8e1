"""What a verb tells a person: what it read, what it wrote, how far it is, and the answer."""

import sys
import time
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

QUIET_SECONDS = 2.0
"""Progress shows once nothing was said for so long."""

LINES_APART_SECONDS = 10.0
"""Between lines of progress where there is no terminal to draw on."""

WIDTH_OF_A_FILE = 140


class Live(Protocol):
    """How something goes: seconds that passed and that it takes, and the rest in words."""

    elapsed: float
    seconds: float

    def words(self) -> str: ...


class Reporter:
    """Prints to standard output; progress goes to standard error, as a bar on a terminal, else as lines.

    A `mute` one says nothing: torchrun starts a verb several times, and one of them speaks for all.
    """

    def __init__(self, mute: bool = False) -> None:
        width = None if sys.stdout.isatty() else WIDTH_OF_A_FILE
        self.console = Console(highlight=False, soft_wrap=True, width=width, quiet=mute)
        self._mute = mute
        self._bars = Progress(
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(), TimeRemainingColumn(), console=Console(stderr=True), transient=True,
        )  # fmt: skip
        self._tasks: dict[str, TaskID] = {}
        self._begun: dict[str, float] = {}
        self._spoke = time.monotonic()

    def __enter__(self) -> "Reporter":
        return self

    def __exit__(self, *_: object) -> None:
        self._lower_bars()

    def say(self, text: object = "") -> None:
        """A text or a table."""
        self._spoke = time.monotonic()
        self._lower_bars()
        self.console.print(text, markup=False)

    def read(self, path: Path | str, what: str) -> None:
        self.say(f"read   {shown(path)}  {what}")

    def wrote(self, path: Path | str, what: str) -> None:
        self.say(f"wrote  {shown(path)}  {what}")

    def progress(self, task: str, done: int, total: int, note: str = "") -> None:
        """A `contracts.progress.Progress`. Many short tasks in a row are a reason to speak, as a long one is."""
        if self._mute:
            return
        now = time.monotonic()
        begun = self._begun.setdefault(task, now)
        if done == total:
            del self._begun[task]
        silent_s = now - self._spoke
        if sys.stderr.isatty():
            if silent_s > QUIET_SECONDS or task in self._tasks:
                self._draw(task, done, total, note)
        elif silent_s > LINES_APART_SECONDS or (done == total and now - begun > QUIET_SECONDS):
            self._spoke = now
            words = f"{done:,} of {total:,} ({now - begun:.0f} s)"
            print(f"  {task}: {f'{words}; {note}' if note else words}", file=sys.stderr, flush=True)

    def watch(self, now: Live) -> None:
        """How a load test goes, on one line that changes."""
        self._begun["load test"] = time.monotonic() - now.elapsed  # one run after the other may be watched
        self.progress("load test", int(min(now.elapsed, now.seconds - 1)), int(now.seconds), now.words())

    def _lower_bars(self) -> None:
        if self._bars.live.is_started:  # stopping what never started prints an empty line
            self._bars.stop()

    def _draw(self, task: str, done: int, total: int, note: str) -> None:
        self._bars.start()
        if task not in self._tasks:
            self._tasks[task] = self._bars.add_task(task, total=total)
        description = f"{task}: {note}" if note else task
        self._bars.update(self._tasks[task], completed=done, total=total, description=description)
        if done == total:
            self._bars.remove_task(self._tasks.pop(task))


def shown(path: Path | str) -> str:
    """A path as the person at the terminal would write it."""
    path = Path(path)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
