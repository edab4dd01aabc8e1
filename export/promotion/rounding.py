"""Figures as a person reads them."""

from decimal import Decimal

from export.measuring.evaluation import Estimate


def short(value: float, beside: float | None = None) -> str:
    """Three significant digits and no exponent: 0.0531, 7.21, 1240. `beside` is a bound that it must not look
    equal to unless it is."""
    for digits in range(3, 17):
        shown = f"{value:.{digits}g}"
        shown = f"{Decimal(shown):f}" if "e" in shown else shown
        if beside is None or float(shown) != beside or value == beside:
            return shown
    return shown


def signed(value: float) -> str:
    """A difference of qualities, with its sign."""
    return f"{value:+.4f}"


def interval_of(estimate: Estimate) -> str:
    """The ends of a difference's interval."""
    return f"{signed(estimate.low)} to {signed(estimate.high)}"


def times(ratio: float) -> str:
    """How many times as much: 1.04, 1.3, 48."""
    if 0.95 < ratio < 1.05:
        return f"{ratio:.2f}"
    return f"{ratio:.1f}" if ratio < 9.95 else f"{ratio:.0f}"
