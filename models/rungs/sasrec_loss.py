"""The softmax losses of SASRec: over the whole catalog, or over sampled items that stand for it."""

import torch
from torch import Tensor
from torch.nn import functional

_SCORES_AT_ONCE = 1 << 21
"""Scores held at a time (8 MB): few enough to stay near the processor whatever the catalog's size."""

_LOWEST = -1e30
"""Stands for the greatest of no scores; -inf less itself would be no number."""


def softmax_loss(states: Tensor, table: Tensor, targets: Tensor, owners: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean of -log p(target), where p is the softmax over all rows of `table`.

    States float32 [positions, d], table float32 [items, d]; targets (rows of `table`), owners (rows of
    `states`) and weights [pairs].
    """
    weights = weights / weights.sum()
    share = weights.new_zeros(len(states)).index_add(0, owners, weights)
    return _LogNormalisers.apply(states, table, share) - weights @ _target_scores(states, table, targets, owners)


def sampled_softmax_loss(
    states: Tensor,
    table: Tensor,
    targets: Tensor,
    owners: Tensor,
    weights: Tensor,
    sampled: Tensor,
    log_expected: Tensor,
) -> Tensor:
    """As `softmax_loss`, with its normaliser estimated from sampled rows. Importance sampling (the logQ
    correction of Bengio and Senecal, 2008) keeps it from a bias towards rare or popular items.

    `sampled` int64 [n] are drawn with replacement and shared by all positions; `log_expected` [n] is the log
    of how often each was expected among the n. A sampled item that is a target of the position is left out.
    """
    own = _target_scores(states, table, targets, owners)
    weights = weights / weights.sum()
    order = sampled.argsort()
    low, high = (torch.searchsorted(sampled[order], targets, right=right) for right in (False, True))
    times = high - low  # how often each target is among the sampled
    nth = torch.arange(int(times.sum()), device=low.device) - (times.cumsum(0) - times).repeat_interleave(times)
    left_out = owners.repeat_interleave(times), order[low.repeat_interleave(times) + nth]
    rows = functional.embedding(sampled, table)
    return _SampledSoftmax.apply(states, rows, own, owners, weights, log_expected, left_out)


def _target_scores(states: Tensor, table: Tensor, targets: Tensor, owners: Tensor) -> Tensor:
    """Looked up as embeddings: unlike indexing, their gradient adds up in the same order every time."""
    return (functional.embedding(owners, states) * functional.embedding(targets, table)).sum(dim=-1)


class _LogNormalisers(torch.autograd.Function):
    """Sum over positions of share * log(sum over items of exp(score)), a scalar.

    The gradients are made together with the value, a piece of the scores at a time: the scores of all
    positions never exist at once, and none is computed twice.
    """

    @staticmethod
    def forward(ctx, states: Tensor, table: Tensor, share: Tensor) -> Tensor:
        total = states.new_zeros(())
        states_gradient, table_gradient = torch.zeros_like(states), torch.zeros_like(table)
        rows = max(1, _SCORES_AT_ONCE // len(table))
        room = states.new_empty(min(rows, len(states)), len(table))
        for first in range(0, len(states), rows):
            some, part = states[first : first + rows], share[first : first + rows]
            scores = torch.mm(some, table.T, out=room[: len(some)])
            highest = scores.amax(dim=1)
            sums = scores.sub_(highest[:, None]).exp_().sum(dim=1)
            total += part @ (highest + sums.log())
            scores.mul_((part / sums)[:, None])
            torch.mm(scores, table, out=states_gradient[first : first + rows])
            table_gradient.addmm_(scores.T, some)
        ctx.save_for_backward(states_gradient, table_gradient)
        return total

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        states_gradient, table_gradient = ctx.saved_tensors
        return gradient * states_gradient, gradient * table_gradient, None


class _SampledSoftmax(torch.autograd.Function):
    """Sum over pairs of weight * (log(exp(own score) + sum over sampled of exp(score - log expected)) - own).

    As in `_LogNormalisers`, the gradients are made together with the value, in the room of the scores.
    """

    @staticmethod
    def forward(
        ctx,
        states: Tensor,
        rows: Tensor,
        own: Tensor,
        owners: Tensor,
        weights: Tensor,
        log_expected: Tensor,
        left_out: tuple[Tensor, Tensor],
    ) -> Tensor:
        scores = torch.mm(states, rows.T).sub_(log_expected)
        scores[left_out] = -torch.inf
        highest = scores.amax(dim=1).clamp_(min=_LOWEST)  # all of them may be left out
        sums = scores.sub_(highest[:, None]).exp_().sum(dim=1)
        others = functional.embedding(owners, (highest + sums.log())[:, None])[:, 0]
        missed = weights * torch.sigmoid(others - own)  # the probability that goes to others
        scores.mul_((sums.new_zeros(len(sums)).index_add_(0, owners, missed) / sums.clamp(min=1e-30))[:, None])
        ctx.save_for_backward(scores @ rows, scores.T @ states, -missed)
        return weights @ (torch.logaddexp(own, others) - own)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return *(gradient * saved for saved in ctx.saved_tensors), None, None, None, None
