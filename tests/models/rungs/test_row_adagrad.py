import torch

from models.rungs.row_adagrad import RowAdagrad


def test_rows_move_by_their_gradient_over_the_root_of_what_they_had_so_far():
    table, bias = torch.zeros(5, 2), torch.zeros(5)
    rows = RowAdagrad({"table": table, "bias": bias}, learning_rate=0.1)
    touched = torch.tensor([1, 3])
    gradients = {"table": torch.tensor([[3.0, 4.0], [0.0, 2.0]]), "bias": torch.tensor([-2.0, 5.0])}
    rows.step(touched, gradients)
    root = 12.5**0.5  # of (9 + 16) / 2
    torch.testing.assert_close(table[1], torch.tensor([-0.3 / root, -0.4 / root]))
    torch.testing.assert_close(bias[touched], torch.tensor([0.1, -0.1]))
    rows.step(touched[:1], {"table": gradients["table"][:1]})
    torch.testing.assert_close(table[1, 0], torch.tensor(-0.3 / root - 0.3 / 25**0.5))
    torch.testing.assert_close(bias[1], torch.tensor(0.1))


def test_row_that_no_step_touched_stays_where_it_is():
    table = torch.ones(4, 2)
    RowAdagrad({"table": table}, learning_rate=1.0).step(torch.tensor([2]), {"table": torch.ones(1, 2)})
    assert torch.equal(table[[0, 1, 3]], torch.ones(3, 2)) and not torch.equal(table[2], torch.ones(2))


def test_gradient_of_zero_moves_nothing():
    table = torch.ones(1, 2)
    RowAdagrad({"table": table}, learning_rate=1.0).step(torch.tensor([0]), {"table": torch.zeros(1, 2)})
    assert torch.equal(table, torch.ones(1, 2))
