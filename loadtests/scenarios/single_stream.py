"""One user alone asks, waits for the answer, and asks again: the latency of one, when nobody else is there."""

from loadtests.generator import Generator


class SingleStream(Generator):
    scenario = "single-stream"

    def tell(self) -> None:
        self.ask_in_turn()

    @classmethod
    def workload(cls, load):
        return "closed: one request at a time"
