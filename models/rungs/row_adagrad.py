"""Adagrad with one number per row, over the rows that a step touches: its cost does not grow with the table."""

import torch
from torch import Tensor

_TINY = 1e-10


class RowAdagrad:
    """Moves a row by its gradient over the root of all its mean squared gradients so far, and no other row.

    The row-wise Adagrad of tables of embeddings (Duchi and others, JMLR 2011; one number per row as in FBGEMM).
    `tables` [rows, ...] are changed in place; `squares` float32 [rows] each is all that it remembers. Equal inputs
    give equal numbers.
    """

    def __init__(self, tables: dict[str, Tensor], learning_rate: float) -> None:
        self.tables = tables
        self.learning_rate = learning_rate
        self.squares = {name: table.new_zeros(len(table)) for name, table in tables.items()}

    @torch.no_grad()
    def step(self, rows: Tensor, gradients: dict[str, Tensor]) -> None:
        """Rows int64 [n], each once, and the gradients of these rows, of every table that has any."""
        for name, gradient in gradients.items():
            flat = gradient.flatten(1) if gradient.ndim > 1 else gradient[:, None]
            squares = self.squares[name].index_select(0, rows) + flat.square().mean(dim=1)
            self.squares[name].index_copy_(0, rows, squares)
            moved = flat / squares.sqrt_().add_(_TINY)[:, None]
            self.tables[name].index_add_(0, rows, moved.view_as(gradient), alpha=-self.learning_rate)
