"""What happens around a story: options are read, the session begins, the verdict is given.

Importing this makes locust do so.
"""

import logging
import sys
from pathlib import Path

import gevent
from locust import events
from locust.runners import LocalRunner, WorkerRunner

from contracts import durable
from contracts.faults import Fault, UsageFault
from loadtests import workers
from loadtests.event_judging import include_events
from loadtests.event_options import WITH_EVENTS, check_events
from loadtests.event_verdict import EventsVerdict, judge_events
from loadtests.hooks import Hooks
from loadtests.live import Now
from loadtests.load import Load, add_options, check_processes, read_load
from loadtests.session import ANSWER_TIMEOUT_SECONDS, Session
from loadtests.tally import Tally, add_up
from loadtests.traffic import Traffic, read_traffic
from loadtests.validity import NO_OBJECTIVE
from loadtests.verdict import Setup, judge
from loadtests.wording import render

_LIVE_SECONDS = 0.5

events.init_command_line_parser.add_listener(add_options)


@events.init.add_listener
def prepare(environment, **_) -> None:
    """Read and check everything before the first request."""
    environment.traffic, environment.own_traffic = Traffic(), environment.parsed_options.traffic
    environment.traffic_read = None
    try:
        _read_orders(environment)
    except Fault as fault:
        logging.error(fault)
        sys.exit(fault.exit_code)
    # Who waits for an answer at the end gets it: a request that we cut off is no failure of the service.
    environment.stop_timeout = environment.stop_timeout or ANSWER_TIMEOUT_SECONDS + 1
    environment.session, environment.tallies, environment.hooks = None, {}, Hooks([])
    workers.connect(environment, lambda: _quit_unless_watched(environment))
    # gevent still has the time from before the imports; --run-time would end that much early.
    gevent.get_hub().loop.update_now()


def _read_orders(environment) -> Load:
    """Read options and traffic file, and refuse what cannot be; a worker's master does so in its stead."""
    load, generator = read_load(environment.parsed_options), _generator(environment)
    if not isinstance(environment.runner, WorkerRunner):
        check_processes(generator.scenario, load.generators, load.settings.connections)
        if not load.slo.objectives(generator.scenario):
            raise UsageFault(NO_OBJECTIVE)
    path = _traffic_path(environment)
    if path != environment.traffic_read:
        environment.traffic, environment.traffic_read = read_traffic(Path(path)) if path else Traffic(), path
    if not isinstance(environment.runner, WorkerRunner):
        check_events(generator.scenario, load.events, len(environment.traffic.users))
    return load


def _traffic_path(environment) -> str | None:
    """A worker has the options of its master, whose words the verdict has; on another machine the file may be
    elsewhere."""
    told, own = environment.parsed_options.traffic, environment.own_traffic
    return own if told and own and not Path(told).exists() else told


@events.test_start.add_listener
def begin(environment, **_) -> None:
    environment.tallies, environment.session = {}, None
    try:
        load = _read_orders(environment)  # a worker has its options from the master only now
    except Fault as fault:
        logging.error(fault)
        environment.process_exit_code = fault.exit_code
        if isinstance(environment.runner, WorkerRunner):
            gevent.spawn(environment.runner.quit)
        else:
            _quit_unless_watched(environment)
        return
    if not environment.traffic.users:
        logging.warning("no --traffic FILE: every user is cold, so the model is not asked")
    objectives = load.slo.objectives(_generator(environment).scenario)
    environment.session = Session(load, environment.traffic, environment.host or "", objectives)
    if not isinstance(environment.runner, WorkerRunner):
        environment.hooks.stop()  # of the test before, where somebody watches in a browser
        environment.hooks = Hooks(_generator(environment).hooks(load))
        if environment.parsed_options.live:
            gevent.spawn(_tell_how_it_goes, environment, Path(environment.parsed_options.live))


def begin_story(environment) -> None:
    """Second 0 is now."""
    if isinstance(environment.runner, WorkerRunner):
        workers.tell_that_it_began(environment)
    else:
        environment.hooks.start()


@events.test_stopping.add_listener
def close(environment, **_) -> None:
    """Begin no other request: locust is about to cut it off."""
    if environment.session:
        environment.session.close()


@events.quitting.add_listener
def conclude(environment, **_) -> None:
    """Judge the run, print the verdict, and make it the exit code. A worker leaves that to its master."""
    if environment.session is None or isinstance(environment.runner, WorkerRunner):
        return
    environment.runner.stop()  # after Ctrl-C there are still some who ask
    verdict = judge(
        _total(environment),
        environment.session.objectives,
        _describe(environment),
        hooks=environment.hooks.stop(),
        service=environment.session.status,
        generator=environment.session.generator,
    )
    if _generator(environment).scenario in WITH_EVENTS:
        verdict = include_events(verdict, _judge_events(environment))
    # After the tables of locust, which is where people look.
    environment.events.quit.add_listener(lambda **_: print(render(verdict), flush=True))
    environment.process_exit_code = verdict.exit_code
    if environment.parsed_options.result:
        durable.write_bytes(Path(environment.parsed_options.result), verdict.to_json())


def _judge_events(environment) -> EventsVerdict:
    load, scenario = environment.session.load, _generator(environment).scenario
    freshness = load.slo.freshness_objectives(scenario) if load.settings.freshness_percent else []
    return judge_events(_total(environment).events, load.slo.event_objectives(scenario), freshness)


def _tell_how_it_goes(environment, path: Path) -> None:
    """For who waits for the verdict; see `loadtests.live`."""
    session, seconds = environment.session, _generator(environment).seconds(environment.session.load)
    while not session.tally.health.finished:
        gevent.sleep(_LIVE_SECONDS)
        Now.of(_total(environment), session.now(), seconds).write(path)


def _total(environment) -> Tally:
    generators = environment.session.load.generators
    if generators == 1 and not environment.tallies:
        return environment.session.tally
    total = add_up(environment.tallies.values())
    total.health.finished &= len(environment.tallies) == generators
    return total


def _generator(environment):
    """The scenario that is played, a subclass of `loadtests.generator.Generator`."""
    (generator,) = environment.user_classes
    return generator


def _describe(environment) -> Setup:
    session, traffic, generator = environment.session, environment.traffic, _generator(environment)
    load = session.load
    known_share, anonymous_share = _shares(load, traffic)
    return Setup(
        scenario=generator.scenario,
        url=session.url,
        workload=generator.workload(load),
        expected=generator.expected(load, traffic),
        seconds=generator.seconds(load),
        known_share=known_share,
        anonymous_share=anonymous_share,
        zipf_exponent=load.settings.zipf_exponent,
        k=load.settings.k,
        known_users=len(traffic.users),
        median_history=traffic.median_history,
        generators=load.generators,
        max_lag_ms=load.settings.max_lag_ms,
    )


def _shares(load: Load, traffic: Traffic) -> tuple[float, float]:
    """Of the visits: by known users, and by anonymous ones."""
    if load.replay_speed:
        return 1.0, 0.0
    known = load.settings.known_percent / 100 if traffic.users else 0.0
    return known, load.settings.anonymous_percent / 100 if traffic.items else 0.0


def end_of_story(environment) -> None:
    """The story of this process is told. A master waits until all are."""
    if isinstance(environment.runner, LocalRunner):
        _quit_unless_watched(environment)


def _quit_unless_watched(environment) -> None:
    if environment.parsed_options.headless:
        gevent.spawn(environment.runner.quit)
