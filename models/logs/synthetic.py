"""The world behind a synthetic log: items with successors, users with tastes that drift."""

from dataclasses import dataclass, field

import numpy as np

ITEMS_PER_CLUSTER = 50
SUCCESSOR_CHANCES = (0.5, 0.25, 0.15, 0.1)
FOLLOW, DRIFT = 0.8, 0.04
"""Share of a user's own clicks that go to a successor, and chance per click that the taste moves on."""

SWING = 1.0
"""How far popularity moves: an item is at most e times as popular as on average, or an e-th."""

CLICKS_PER_VISIT = 4.0
REMEMBERED = 16
"""How many of the last items a user would rather not click again."""


@dataclass(frozen=True)
class World:
    """popularity float64 `[items]` sums to 1; cluster int64 `[items]`; successors int32 `[items, 4]` of the
    same cluster; phase float64 `[items]` says when in the wave of its popularity an item is."""

    signal: float
    popularity: np.ndarray
    cluster: np.ndarray
    successors: np.ndarray
    phase: np.ndarray
    by_cluster: np.ndarray
    cluster_edges: np.ndarray

    @property
    def clusters(self) -> int:
        return len(self.cluster_edges) - 1


@dataclass
class Crowd:
    """State of every user: when they arrive (a share of the time span), what they liked last, and their
    taste (a cluster). `seen` int32 `[users, REMEMBERED]` holds their last clicks."""

    arrival: np.ndarray
    activity: np.ndarray
    taste: np.ndarray
    last: np.ndarray
    seen: np.ndarray
    clicks: np.ndarray = field(init=False)
    visits: int = 0

    def __post_init__(self) -> None:
        self.clicks = np.zeros(len(self.arrival), dtype=np.int64)


def make_world(rng: np.random.Generator, items: int, signal: float) -> World:
    clusters = max(1, items // ITEMS_PER_CLUSTER)
    weight = 1 / np.arange(1, items + 1) ** 0.9
    cluster = rng.permutation(items) % clusters
    by_cluster = np.argsort(cluster, kind="stable")
    edges = np.searchsorted(cluster[by_cluster], np.arange(clusters + 1))
    sizes, starts = np.diff(edges)[cluster], edges[:-1][cluster]
    place = starts[:, None] + (rng.random((items, len(SUCCESSOR_CHANCES))) * sizes[:, None]).astype(np.int64)
    return World(
        signal=signal,
        popularity=rng.permutation(weight / weight.sum()),
        cluster=cluster,
        successors=by_cluster[place].astype(np.int32),
        phase=rng.random(items),
        by_cluster=by_cluster,
        cluster_edges=edges,
    )


def make_crowd(rng: np.random.Generator, users: int, world: World) -> Crowd:
    return Crowd(
        arrival=np.sort(rng.random(users) ** 1.5),
        activity=rng.lognormal(0.0, 0.8, users),
        taste=rng.integers(0, world.clusters, users),
        last=np.full(users, -1, dtype=np.int32),
        seen=np.full((users, REMEMBERED), -1, dtype=np.int32),
    )


def draw_visits(
    rng: np.random.Generator, crowd: Crowd, begin: float, end: float, clicks: int, span_seconds: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """User, second and visit number (all int64) of `clicks` clicks between two shares of the time span,
    sorted by second. Who arrives in between comes at least once, as far as the clicks go."""
    lengths = rng.geometric(1 / CLICKS_PER_VISIT, clicks)
    lengths = lengths[: np.searchsorted(np.cumsum(lengths), clicks) + 1]
    here = int(np.searchsorted(crowd.arrival, end, side="right")) or 1
    new = np.arange(np.searchsorted(crowd.arrival, begin, side="right"), here)[: len(lengths)]
    reach = np.cumsum(crowd.activity[:here])
    returning = np.searchsorted(reach, rng.random(len(lengths) - len(new)) * reach[-1])
    visitors = rng.permutation(np.append(new, np.minimum(returning, here - 1)))
    visit = np.repeat(np.arange(len(lengths)), lengths)[:clicks]
    first, last = int(begin * span_seconds), max(int(end * span_seconds) - 1, int(begin * span_seconds))
    pauses = np.cumsum(rng.integers(5, 90, clicks))
    within = pauses - pauses[np.searchsorted(visit, visit)]
    seconds = np.minimum(rng.integers(first, last + 1, len(lengths))[visit] + within, last)
    order = np.argsort(seconds, kind="stable")
    visit = visit[order]
    crowd.visits += len(lengths)
    return visitors[visit], seconds[order], visit + crowd.visits - len(lengths)


def choose_items(
    rng: np.random.Generator, world: World, crowd: Crowd, users: np.ndarray, now: float
) -> np.ndarray:
    """int32 item of each click, in the order given. A user's clicks depend on the ones before them, so they
    are drawn in rounds: everybody's first, everybody's second, ..."""
    wave = np.exp(SWING * world.signal * np.sin(2 * np.pi * (2 * now + world.phase)))
    popular = np.cumsum(world.popularity * wave)
    in_cluster = np.append(0, np.cumsum((world.popularity * wave)[world.by_cluster]))
    by_user = np.argsort(users, kind="stable")
    starts = np.searchsorted(users[by_user], users[by_user])
    turn = np.empty(len(users), dtype=np.int64)
    turn[by_user] = np.arange(len(users)) - starts
    by_turn = np.argsort(turn, kind="stable")
    chosen = np.empty(len(users), dtype=np.int32)
    for rows in np.split(by_turn, np.flatnonzero(np.diff(turn[by_turn])) + 1):
        chosen[rows] = _choose_once(rng, world, crowd, users[rows], popular, in_cluster)
    return chosen


def _choose_once(
    rng: np.random.Generator,
    world: World,
    crowd: Crowd,
    users: np.ndarray,
    popular: np.ndarray,
    in_cluster: np.ndarray,
) -> np.ndarray:
    """One item for each of some different users; what they do is written into the crowd."""
    drifts = rng.random(len(users)) < DRIFT
    crowd.taste[users[drifts]] = rng.integers(0, world.clusters, drifts.sum())
    edges = in_cluster[world.cluster_edges]
    low, high = edges[crowd.taste[users]], edges[crowd.taste[users] + 1]
    place = np.searchsorted(in_cluster, low + rng.random(len(users)) * (high - low), side="right") - 1
    own = world.by_cluster[np.minimum(place, len(world.by_cluster) - 1)]
    last, seen = crowd.last[users], crowd.seen[users]
    follows = (last >= 0) & ~drifts & (rng.random(len(users)) < FOLLOW)
    chances = np.cumsum(SUCCESSOR_CHANCES)[:-1]
    for _ in range(2):  # the second draw stands only where the first was clicked lately
        successor = world.successors[last, np.searchsorted(chances, rng.random(len(users)))]
        own = np.where(follows & ~(successor[:, None] == seen).any(axis=1), successor, own)
    by_signal = rng.random(len(users)) < world.signal
    anything = np.searchsorted(popular, rng.random(len(users)) * popular[-1])
    crowd.last[users] = np.where(by_signal, own, last)
    items = np.where(by_signal, own, anything).astype(np.int32)
    crowd.seen[users, crowd.clicks[users] % REMEMBERED] = items
    crowd.clicks[users] += 1
    return items
