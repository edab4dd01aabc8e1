"""A graph and all that is asked to be made of it: sealed where it is close enough, recorded in any case."""

from collections.abc import Callable, Sequence

from contracts.progress import Progress
from contracts.sections import HEADS, JPQ_IVF
from export.graphs.optimising import optimise
from export.graphs.outline import Outline
from export.heads.making import Workshop, shared_top
from export.sealing import Sealing
from export.variants.attempts import Attempt, compress
from export.variants.parity import TOLERANCES, TOP, Closeness, compare
from export.variants.rewriting import CannotBeMade
from models.ladder import RUNGS
from service.predictor import OnnxPredictor


def attempt_all(
    sealing: Sealing,
    make_graph: Callable[[], Outline],
    check: Callable[[OnnxPredictor], float],
    calibration: list[list[int]],
    variants: Sequence[str],
    progress: Progress,
    workshop: Workshop | None = None,
) -> list[Attempt]:
    """Seal the graph and what can be made of it; without a `workshop` no head can be. `check` holds the graph
    against what it should answer: it raises `VerdictIsNo`, or returns the largest difference."""
    own = sealing.manifest.variant
    task, steps = f"exporting {sealing.manifest.rung}", 1 + len(variants)
    progress(task, 0, steps)
    graph = make_graph()
    attempts = []
    with sealing.opened(own, graph) as first:
        difference = check(first)
        progress(task, 1, steps)
        for variant in sorted(variants, key=lambda variant: variant != own):
            if variant == own:
                attempts.append(_made(sealing, variant, graph, Closeness(1.0, difference)))
            elif variant in (*HEADS, JPQ_IVF):
                attempts.append(_attempt_head(sealing, variant, first, workshop))
            else:
                attempts.append(_attempt(sealing, variant, graph, first, calibration))
            progress(task, 1 + len(attempts), steps)
    return attempts


def _attempt(
    sealing: Sealing, variant: str, fp32: Outline, first: OnnxPredictor, calibration: list[list[int]]
) -> Attempt:
    """Make one compressed variant, and seal it where it is close enough to fp32."""
    rung, run = sealing.manifest.rung, sealing.manifest.run
    try:
        graph = compress(variant, fp32, calibration, sealing.settings.training.max_history)
        with sealing.opened(variant, graph) as predictor:
            closeness = compare(predictor, first, sealing.histories)
    except CannotBeMade as reason:
        return Attempt(rung, variant, "impossible", str(reason), None, None, None, run)
    except Exception as error:
        if rung in RUNGS:
            raise
        why = f"this graph cannot be rewritten: {error}"  # one that was brought along may hold anything
        return Attempt(rung, variant, "failed", why, None, None, None, run)
    shortfall = closeness.shortfall(TOLERANCES[variant])
    if shortfall:
        return Attempt(rung, variant, "failed", shortfall, *closeness, None, run)
    return _made(sealing, variant, graph, closeness)


def _attempt_head(sealing: Sealing, variant: str, exact: OnnxPredictor, workshop: Workshop | None) -> Attempt:
    """Make one head, and seal it where it finds enough of what the exact one does."""
    rung, run, asked = sealing.manifest.rung, sealing.manifest.run, sealing.settings.export.recall
    if workshop is None:
        why = "the model has no item embeddings that could be searched"
        return Attempt(rung, variant, "impossible", why, None, None, None, run)
    try:
        head = workshop.make(variant, exact, sealing.settings)
    except CannotBeMade as reason:
        return Attempt(rung, variant, "impossible", str(reason), None, None, None, run)
    graph = optimise(head.graph, sealing.draft)
    with sealing.opened(variant, graph, **head.of_manifest) as predictor:
        found, difference = shared_top(predictor, exact, sealing.histories)
    if not found >= asked:
        why = f"finds {found:.3f} of the exact top {TOP}, [export] recall asks for {asked:g}"
        return Attempt(rung, variant, "failed", why, found, difference, None, run, head.curve)
    place = sealing.seal(variant, graph, **head.of_manifest).path.name
    return Attempt(rung, variant, "made", "", found, difference, place, run, head.curve)


def _made(sealing: Sealing, variant: str, graph: Outline, closeness: Closeness) -> Attempt:
    place = sealing.seal(variant, graph).path.name
    return Attempt(sealing.manifest.rung, variant, "made", "", *closeness, place, sealing.manifest.run)
