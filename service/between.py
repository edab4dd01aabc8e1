"""Work for the model that is no question for the batcher: done in slices, one between two batches.

So a batch waits for one slice at most, which is no larger than a batch may be, and a slice for one batch. A job is
rows that can be worked on in any parts.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from service.errors import Overloaded
from service.pace import Pace

Work = Callable[[int, int], Any]
"""What is made of the rows from the first to before the second."""


@dataclass(slots=True)
class _Job:
    work: Work
    rows: int
    reply: asyncio.Future
    done: int = 0
    parts: list = field(default_factory=list)


class Between:
    """Jobs in the order in which they came. `rows`: how many of all of them are still to do.

    Slices keep their own pace: a row here does not take as long as a question, which is also read and worded.
    """

    def __init__(self, pace: Pace | None = None) -> None:
        self.rows = 0
        self._pace = pace or Pace()
        self._jobs: deque[_Job] = deque()

    def refuse_when_late(self) -> None:
        """Raise `Overloaded` when what is still to do takes so long that more should come later."""
        if self.rows >= self._pace.max_asked:
            raise Overloaded(f"{self.rows} rows wait in this worker already; ask again in a second")

    def weight(self, pace: Pace) -> float:
        """How many requests of that pace take as long as a row; 1 where that is not known yet."""
        if self._pace.seconds_per_request and pace.seconds_per_request:
            return self._pace.seconds_per_request / pace.seconds_per_request
        return 1.0

    def add(self, work: Work, rows: int) -> asyncio.Future:
        """The future gets what `work` makes of each slice, in order, or the first error."""
        job = _Job(work, rows, asyncio.get_running_loop().create_future())
        self._jobs.append(job)
        self.rows += rows
        return job.reply

    def do_slice(self, most_rows: int) -> None:
        """Work on the oldest job for whom somebody still waits. Never raises: it runs where batches do."""
        self._forget_the_gone()
        if not self._jobs:
            return
        job = self._jobs[0]
        size = min(job.rows - job.done, self._pace.max_batch, most_rows)
        started = perf_counter()
        try:
            job.parts.append(job.work(job.done, job.done + size))
        except Exception as error:  # whatever it is: it is the asker's
            job.reply.set_exception(error)
        else:
            self._pace.note_batch(size, perf_counter() - started)
            self.rows -= size
            job.done += size
            if job.done == job.rows:
                job.reply.set_result(job.parts)
        self._forget_the_gone()

    def _forget_the_gone(self) -> None:
        while self._jobs and self._jobs[0].reply.done():
            job = self._jobs.popleft()
            self.rows -= job.rows - job.done

    def fail(self, error: Exception) -> None:
        """Nothing more will be done; whoever waits is told so."""
        for job in self._jobs:
            if not job.reply.done():
                job.reply.set_exception(error)
        self._forget_the_gone()
