"""Several generator processes: what each of them counted, and when the first one began, travels to the master."""

from collections.abc import Callable

from locust.runners import MasterRunner

from loadtests.tally import Tally

_BEGAN = "flyweight_story_began"


def connect(environment, on_end: Callable[[], None]) -> None:
    """A worker's tally travels with locust's own reports; the master keeps one for each worker.

    `on_end` is called in the master when all have come to their end.
    """

    @environment.events.report_to_master.add_listener
    def send(data, **_) -> None:
        if environment.session:
            data["tally"] = environment.session.tally.report()

    @environment.events.worker_report.add_listener
    def receive(client_id, data, **_) -> None:
        if "tally" in data and environment.session:
            tallies = environment.tallies
            tallies.setdefault(client_id, Tally()).absorb(data["tally"])
            finished = sum(tally.health.finished for tally in tallies.values())
            if finished == environment.session.load.generators:
                on_end()

    if isinstance(environment.runner, MasterRunner):
        environment.runner.register_message(_BEGAN, lambda environment, **_: environment.hooks.start())


def tell_that_it_began(environment) -> None:
    """The master keeps the clock of the commands; what is due at second 0 is due now."""
    environment.runner.send_message(_BEGAN)
