import numpy as np
import pytest
import torch

from models.rungs import sasrec_loss
from models.rungs.sasrec_loss import sampled_softmax_loss, softmax_loss


@pytest.fixture
def drawn() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {
        "states": torch.randn(7, 4, dtype=torch.double, requires_grad=True),
        "table": torch.randn(30, 4, dtype=torch.double, requires_grad=True),
        "targets": torch.randint(30, (12,)),
        "owners": torch.tensor([0, 0, 0, 1, 2, 2, 3, 4, 5, 6, 6, 6]),
        "weights": torch.rand(12, dtype=torch.double),
    }


def plain_loss(states, table, targets, owners, weights):
    losses = -(states @ table.T).log_softmax(dim=1)[owners, targets]
    return (weights * losses).sum() / weights.sum()


@pytest.mark.parametrize("scores_at_once", [1 << 21, 60])
def test_loss_and_gradients_are_those_of_the_plain_softmax_whole_or_in_pieces(drawn, monkeypatch, scores_at_once):
    monkeypatch.setattr(sasrec_loss, "_SCORES_AT_ONCE", scores_at_once)
    ours, plain = softmax_loss(**drawn), plain_loss(**drawn)
    torch.testing.assert_close(ours, plain)
    learned = drawn["states"], drawn["table"]
    for mine, expected in zip(
        torch.autograd.grad(3 * ours, learned), torch.autograd.grad(3 * plain, learned), strict=True
    ):
        torch.testing.assert_close(mine, expected)


def test_great_scores_do_not_overflow(drawn):
    drawn["states"] = (drawn["states"] * 1000).detach()
    torch.testing.assert_close(softmax_loss(**drawn), plain_loss(**drawn))


def test_sampled_loss_comes_near_the_whole_one_as_the_sample_grows(drawn):
    chances = np.arange(1, 31) / np.arange(1, 31).sum()
    exact = plain_loss(**drawn).item()
    errors = []
    for size in (50, 200_000):
        sampled = np.random.default_rng(0).choice(30, size=size, p=chances)
        expected = torch.from_numpy(np.log(chances[sampled] * size))
        estimate = sampled_softmax_loss(**drawn, sampled=torch.from_numpy(sampled), log_expected=expected)
        errors.append(abs(estimate.item() - exact))
    # A position with several targets leaves all of them out of the sample: a small bias of its own.
    assert errors[1] < 0.1 < exact


def test_gradients_of_the_sampled_loss_are_those_of_the_formula(drawn):
    """Weighted mean of log(e^own + sum of e^(score - log expected) over the sampled that are no targets) - own."""
    sampled = torch.randint(30, (40,))
    expected = torch.rand(40, dtype=torch.double)
    scores = drawn["states"] @ drawn["table"].T
    targets, owners = drawn["targets"], drawn["owners"]
    is_target = torch.zeros(7, 30, dtype=torch.bool)
    is_target[owners, targets] = True
    others = (scores[:, sampled] - expected).masked_fill(is_target[:, sampled], -torch.inf).logsumexp(dim=1)
    own = scores[owners, targets]
    weights = drawn["weights"] / drawn["weights"].sum()
    plain = weights @ (torch.logaddexp(own, others[owners]) - own)
    ours = sampled_softmax_loss(**drawn, sampled=sampled, log_expected=expected)
    torch.testing.assert_close(ours, plain)
    learned = drawn["states"], drawn["table"]
    for mine, formula in zip(
        torch.autograd.grad(3 * ours, learned), torch.autograd.grad(3 * plain, learned), strict=True
    ):
        torch.testing.assert_close(mine, formula)


def test_sampled_target_is_no_negative_of_its_own(drawn):
    one = {
        "states": drawn["states"][:1], "table": drawn["table"],
        "targets": torch.tensor([5]), "owners": torch.tensor([0]), "weights": torch.ones(1).double(),
    }  # fmt: skip
    only_the_target = torch.tensor([5, 5])
    loss = sampled_softmax_loss(**one, sampled=only_the_target, log_expected=torch.zeros(2))
    assert loss.item() == 0.0


def test_batch_in_which_nothing_asks_costs_nothing():
    """The middle of a large basket fills a whole window."""
    table = torch.randn(6, 4, requires_grad=True)
    none = torch.zeros(0, dtype=torch.long)
    nobody = torch.zeros(0, 4), table, none, none, torch.zeros(0)
    for loss in (softmax_loss(*nobody), sampled_softmax_loss(*nobody, torch.tensor([1, 2]), torch.zeros(2))):
        loss.backward()
        assert loss.item() == 0.0 and not table.grad.any()
