"""What the bench writes: the plan, every raw round, the medians, the ratios, and whether the table is void."""

import msgspec

from contracts.machine import cores, cpu_model
from loadtests.peers import WORKERS, figures
from loadtests.peers.world import HISTORY, ITEMS, USERS


class Plan(msgspec.Struct, frozen=True):
    """What is run: every contender in every round, in the opposite order every other round."""

    seconds: int
    rounds: int
    connections: tuple[int, ...]
    contenders: tuple[str, ...]
    models: tuple[str, ...]


class Report(msgspec.Struct):
    """The content of `reports/bench.json`. `void`: a peer was not worth beating; null where it was not judged."""

    machine: str
    cores: int
    workers: int
    items: int
    history: int
    users: int
    plan: Plan
    void: bool | None
    why_void: list[str]
    medians: list[figures.Measured]
    median_ceilings: list[figures.Ceiling]
    ratios: list[figures.Ratio]
    rounds: list[figures.Measured]
    rounds_of_ceilings: list[figures.Ceiling]


def make_report(plan: Plan, measured: list[figures.Measured], ceilings: list[figures.Ceiling]) -> Report:
    """Everything that follows from the raw rounds, with this machine's name."""
    medians, tops = figures.medians(measured), figures.median_ceilings(ceilings)
    why_void = figures.why_void(medians, tops)
    return Report(
        machine=cpu_model(),
        cores=cores(),
        workers=WORKERS,
        items=ITEMS,
        history=HISTORY,
        users=USERS,
        plan=plan,
        void=None if why_void is None else bool(why_void),
        why_void=why_void or [],
        medians=medians,
        median_ceilings=tops,
        ratios=figures.ratios(medians, tops),
        rounds=measured,
        rounds_of_ceilings=ceilings,
    )
