"""The load test as a visit to a shop. Runs on its own:

    locust -f loadtests/locustfile.py -H http://127.0.0.1:3000 --headless -u 50 -t 20s --traffic FILE

Exit code 0: the SLO was met; 1: missed; 2: wrong options; 3: the run was not valid and gives no figure.
With `--processes N` the counts and latencies of all processes are added up exactly.

Limits: the workload is closed (a user waits for the answer before thinking and asking again), so queueing
under fixed arrivals does not show; the generator costs a core per few thousand requests/s, and a run that
it limits is not valid.
"""

import logging
import random
import sys
from pathlib import Path

import gevent
import msgspec
from locust import FastHttpUser, events, task
from locust.exception import StopUser
from locust.runners import WorkerRunner

from contracts import durable
from contracts.faults import Fault
from contracts.sections import Settings
from contracts.settings import read_settings
from loadtests.answers import WrongAnswer, check_answer
from loadtests.tally import Tally, add_up
from loadtests.traffic import Traffic, Visits, read_traffic
from loadtests.verdict import Setup, judge
from loadtests.wording import render

ANSWER_TIMEOUT_S = 5.0
"""An answer that takes longer counts as none."""


class Visitor(FastHttpUser):
    """Somebody comes to the shop, is shown something, thinks about it, and asks for more."""

    network_timeout = ANSWER_TIMEOUT_S
    connection_timeout = ANSWER_TIMEOUT_S

    def wait_time(self) -> float:
        think_ms = self.environment.loadtest.think_ms
        return random.expovariate(1000 / think_ms) if think_ms else 0.0

    @task
    def ask_for_recommendations(self) -> None:
        if self.environment.closing:
            raise StopUser
        tally, question = self.environment.tally, self.environment.visits.next_question()
        sent_id = f"{random.getrandbits(64):016x}"
        tally.begin()
        with self.client.post(
            "/predict",
            data=msgspec.json.encode({"user_id": question.user_id, "k": question.k}),
            headers={"Content-Type": "application/json", "X-Request-Id": sent_id},
            catch_response=True,
        ) as response:
            answered = response.status_code != 0
            try:
                if response.status_code != 200:
                    raise WrongAnswer(
                        f"status {response.status_code}" if answered else type(response.error).__name__
                    )
                answer = check_answer(
                    question,
                    response.content,
                    sent_id=sent_id,
                    echoed_id=response.headers.get("x-request-id"),
                    catalog=self.environment.traffic.catalog,
                )
            except WrongAnswer as wrong:
                tally.record_failure(str(wrong), answered=answered)
                response.failure(str(wrong))
            else:
                tally.record_answer(question, answer, response.request_meta["response_time"])


@events.init_command_line_parser.add_listener
def add_options(parser) -> None:
    """Options of ours. What is not given comes from [loadtest] and [slo] of flyweight.toml."""
    group = parser.add_argument_group("Flyweight")
    group.add_argument("--traffic", help="file of `flyweight materialize --traffic`; without it, cold users only")
    group.add_argument("--known-percent", type=float, help="share of the requests by known users")
    group.add_argument("--zipf", type=float, help="Zipf exponent: how much some users ask more than others")
    group.add_argument("--think-ms", type=int, help="mean pause between an answer and the next question")
    group.add_argument("--k", type=int, help="items to ask for")
    group.add_argument("--slo", action="append", help="an objective, as in `p(99) < 100`; may come several times")
    group.add_argument("--result", help="where the verdict goes as JSON")


@events.init.add_listener
def prepare(environment, **_) -> None:
    """Read and check everything before the first request."""
    options = environment.parsed_options
    try:
        _read_settings(options)
        environment.traffic = read_traffic(Path(options.traffic)) if options.traffic else Traffic()
    except Fault as fault:
        logging.error(fault)
        sys.exit(fault.exit_code)
    if not environment.traffic.users:
        logging.warning("no --traffic FILE: every user is cold, so the model is not asked")
    # Who waits for an answer at the end gets it: a request that we cut off is no failure of the service.
    environment.stop_timeout = environment.stop_timeout or ANSWER_TIMEOUT_S + 1
    environment.tally, environment.workers = None, {}
    _exchange_tallies(environment)
    # gevent still has the time from before the imports; --run-time would end that much early.
    gevent.get_hub().loop.update_now()


@events.test_start.add_listener
def begin(environment, **_) -> None:
    settings = _read_settings(environment.parsed_options)  # a worker has its options from the master only now
    environment.loadtest, environment.objectives = settings.loadtest, settings.slo.objectives()
    environment.visits = Visits(
        environment.traffic,
        known_percent=settings.loadtest.known_percent,
        zipf_exponent=settings.loadtest.zipf_exponent,
        k=settings.loadtest.k,
    )
    environment.workers = {}
    environment.closing = False
    environment.tally = Tally()


@events.test_stopping.add_listener
def close(environment, **_) -> None:
    """Let no thinking user begin another request: locust is about to cut it off."""
    environment.closing = True


@events.test_stop.add_listener
def end(environment, **_) -> None:
    if environment.tally:  # none in a web UI that is closed before its first test
        environment.tally.finish()


@events.quitting.add_listener
def conclude(environment, **_) -> None:
    """Judge the run, print the verdict, and make it the exit code. A worker leaves that to its master."""
    if environment.tally is None or isinstance(environment.runner, WorkerRunner):
        return
    environment.runner.stop()  # after Ctrl-C the users are still asking
    tallies = environment.workers.values() if environment.workers else [environment.tally]
    runner = environment.runner
    verdict = judge(
        add_up(tallies),
        environment.objectives,
        _describe_setup(environment),
        saturated=runner.cpu_warning_emitted or runner.worker_cpu_warning_emitted,
    )
    # After the tables of locust, which is where people look.
    environment.events.quit.add_listener(lambda **_: print(render(verdict), flush=True))
    environment.process_exit_code = verdict.exit_code
    if environment.parsed_options.result:
        durable.write_bytes(
            Path(environment.parsed_options.result), msgspec.json.format(msgspec.json.encode(verdict), indent=2)
        )


def _exchange_tallies(environment) -> None:
    """A worker's tally travels with locust's own reports; the master keeps one for each worker."""

    @environment.events.report_to_master.add_listener
    def send(data, **_) -> None:
        if environment.tally:
            data["tally"] = environment.tally.report()

    @environment.events.worker_report.add_listener
    def receive(client_id, data, **_) -> None:
        if "tally" in data:
            environment.workers.setdefault(client_id, Tally()).absorb(data["tally"])


def _read_settings(options) -> Settings:
    """Options over environment over flyweight.toml, with the checks and messages of every other verb."""
    given = {
        ("loadtest", "known-percent"): options.known_percent,
        ("loadtest", "zipf-exponent"): options.zipf,
        ("loadtest", "think-ms"): options.think_ms,
        ("loadtest", "k"): options.k,
        ("slo", "predict"): options.slo,
    }
    return read_settings(flags={key: value for key, value in given.items() if value is not None})


def _describe_setup(environment) -> Setup:
    traffic, loadtest = environment.traffic, environment.loadtest
    return Setup(
        url=environment.host or "",
        users=environment.runner.target_user_count,
        think_ms=loadtest.think_ms,
        known_percent=loadtest.known_percent if traffic.users else 0.0,
        zipf_exponent=loadtest.zipf_exponent,
        k=loadtest.k,
        known_users=len(traffic.users),
        median_history=traffic.median_history,
    )
