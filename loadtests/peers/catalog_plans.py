"""What the catalogs of `make bench-catalog` are made from: how large a log, which rungs, what is tried of them."""

import msgspec

from contracts.faults import UsageFault

POPULARITY, ITEM_TO_ITEM, SASREC, JPQ = "popularity", "item-to-item", "sasrec", "sasrec:jpq"
EXACT = "fp32"

_CONFIG = """# Written by `make bench-catalog`.
[sasrec]
epochs = {epochs}

[jpq]
codebooks = 16

[export]
variants = ["fp32"]
heads = [{heads}]
heads-from = 1
recall = {recall}
"""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One catalog. `items` is its name: of those that are drawn, only the ones of the training part are in the
    catalog. `drawn`: items of the log; 0: as many as the name says.

    `rungs` are trained and exported in this order. `recall`: what a head must find of the exact top 10.
    `measured`: whether `flyweight measure` says how good the answers are.
    """

    items: int
    users: int
    interactions: int
    drawn: int = 0
    format: str = "csv"
    rungs: tuple[str, ...] = (POPULARITY, ITEM_TO_ITEM, SASREC, JPQ)
    epochs: int = 3
    heads: tuple[str, ...] = ("scann", "int8-rerank", "int4-rerank", "ivf")
    recall: float = 0.98
    measured: bool = True

    @property
    def config(self) -> str:
        """The `flyweight.toml` of its folder."""
        heads = ", ".join(f'"{head}"' for head in self.heads)
        return _CONFIG.format(epochs=self.epochs, heads=heads, recall=self.recall)


PLANS = {
    plan.items: plan
    for plan in (
        Plan(items=10_000, users=20_000, interactions=500_000),
        Plan(items=100_000, users=100_000, interactions=2_000_000),
        Plan(items=1_000_000, users=500_000, interactions=10_000_000),
        Plan(
            items=10_000_000, drawn=18_000_000, users=3_000_000, interactions=30_000_000, format="parquet",
            rungs=(POPULARITY, SASREC), epochs=1, heads=("scann",), recall=0.9, measured=False,
        ),
    )
}  # fmt: skip
"""Of the largest more items are drawn than are wanted: many of them are never met before the holdout."""


def plans_of(sizes: str) -> list[Plan]:
    """The plans of `10000,100000`, smallest first. Raises `UsageFault` for another size."""
    known = ", ".join(map(str, PLANS))
    try:
        asked = {int(size) for size in sizes.split(",")}
    except ValueError:
        raise UsageFault(f"--sizes: found {sizes!r}, expected some of {known}, with commas between.") from None
    if unknown := sorted(asked - PLANS.keys()):
        raise UsageFault(f"--sizes: there is no plan for {unknown[0]:,} items; expected some of {known}.")
    return [PLANS[size] for size in sorted(asked)]
