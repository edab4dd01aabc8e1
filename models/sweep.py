"""A short search over a few settings: one is varied at a time."""

from collections.abc import Callable, Mapping

from contracts.progress import Progress, silent

_SWEEPS = 2


def sweep(
    options: Mapping[str, tuple[float, ...]],
    score: Callable[[dict[str, float]], float],
    task: str,
    progress: Progress = silent,
) -> dict[str, float]:
    """For each of `options` the value with the highest `score` found; of equals, the one met first.

    Starts in the middle of each list and goes through all lists twice. No choice is scored twice. `task` is
    what a person reads while it runs.
    """
    known: dict[tuple[float, ...], float] = {}

    def score_once(choice: dict[str, float]) -> float:
        place = tuple(choice.values())
        if place not in known:
            known[place] = score(choice)
        return known[place]

    chosen = {name: values[len(values) // 2] for name, values in options.items()}
    tries = [(name, value) for name in options for value in options[name]] * _SWEEPS
    progress(task, 0, len(tries))
    for number, (name, value) in enumerate(tries, start=1):
        other = chosen | {name: value}
        if score_once(other) > score_once(chosen):
            chosen = other
        progress(task, number, len(tries))
    return chosen
