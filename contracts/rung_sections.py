"""Settings of the ladder: a section for each kind of model that has any."""

from typing import Annotated

from msgspec import Meta

from contracts.section import Count, Percent, Positive, Ratio, Section, Share

PopularShares = Annotated[tuple[Annotated[float, Meta(ge=0)], ...], Meta(min_length=1)]


class Popularity(Section):
    half_lives_days: Annotated[tuple[Ratio, ...], Meta(min_length=1)] = (
        1.0,
        3.0,
        7.0,
        14.0,
        30.0,
        90.0,
        365.0,
    )


class ItemToItem(Section):
    neighbours: Annotated[tuple[Annotated[int, Meta(ge=1, le=500)], ...], Meta(min_length=1)] = (10, 20, 50)
    enough: Percent = 1.0
    windows: Annotated[tuple[Positive, ...], Meta(min_length=1)] = (5, 20, 60)
    decays: Annotated[tuple[Share, ...], Meta(min_length=1)] = (0.3, 0.6, 0.85, 1.0)
    idf: Annotated[tuple[Share, ...], Meta(min_length=1)] = (0.0, 0.25, 0.5)
    popularity: PopularShares = (0.0, 0.3, 1.0, 3.0)


class VmisKnn(Section):
    max_items: Positive = 2_000_000
    sessions: Positive = 50_000
    session_length: Annotated[int, Meta(ge=2, le=1000)] = 20
    sessions_per_item: Annotated[int, Meta(ge=1, le=10_000)] = 100
    newest: Positive = 5
    neighbours: Annotated[tuple[Positive, ...], Meta(min_length=1)] = (50, 100, 200)
    decays: Annotated[tuple[Annotated[float, Meta(gt=0, le=1)], ...], Meta(min_length=1)] = (0.3, 0.6, 0.85)
    popularity: PopularShares = (0.0, 1.0, 3.0, 10.0)


class Ials(Section):
    max_items: Positive = 500_000
    factors: Positive = 64
    iterations: Positive = 15
    regularizations: Annotated[tuple[Ratio, ...], Meta(min_length=1)] = (1.0, 10.0, 100.0, 1000.0)
    alphas: Annotated[tuple[Ratio, ...], Meta(min_length=1)] = (3.0, 10.0, 30.0, 100.0)
    decays: Annotated[tuple[Share, ...], Meta(min_length=1)] = (0.6, 0.85, 1.0)
    popularity: PopularShares = (0.0, 0.1, 0.3, 1.0, 3.0)


class Ease(Section):
    max_items: Positive = 6000
    neighbours: Annotated[int, Meta(ge=1, le=500)] = 20
    l2: Annotated[tuple[Ratio, ...], Meta(min_length=1)] = (0.3, 3.0, 30.0, 300.0)
    decays: Annotated[tuple[Share, ...], Meta(min_length=1)] = (0.3, 0.6, 0.85, 1.0)
    popularity: PopularShares = (0.0, 0.3, 1.0, 3.0)


class Sasrec(Section):
    dimension: Positive = 64
    layers: Positive = 1
    heads: Positive = 2
    dropout: Annotated[float, Meta(ge=0, lt=1)] = 0.2
    learning_rate: Ratio = 0.001
    batch_size: Positive = 128
    epochs: Positive = 40
    patience: Positive = 3
    full_softmax_scores: Count = 10_000_000_000
    negatives: Positive = 2048
    popularity: PopularShares = (0.0, 0.3, 1.0)

    def __post_init__(self) -> None:
        if self.dimension % self.heads:
            raise ValueError(f"heads: expected a divisor of dimension = {self.dimension}")


class Jpq(Section):
    codebooks: Positive = 8
    centroids: Annotated[int, Meta(ge=2, le=256)] = 256


class Blend(Section):
    neighbours: PopularShares = (0.0, 0.1, 0.3, 1.0, 3.0)


class Student(Section):
    dimension: Positive = 16
    layers: Positive = 1
    heads: Positive = 1
    dropout: Annotated[float, Meta(ge=0, lt=1)] = 0.1
    prefixes: Positive = 100_000
    guesses: Positive = 50
    taught: Share = 0.7
    temperature: Ratio = 1.0

    def __post_init__(self) -> None:
        if self.dimension % self.heads:
            raise ValueError(f"heads: expected a divisor of dimension = {self.dimension}")
