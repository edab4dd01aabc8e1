"""The encoder of the iALS graph: a user folded in by a fixed number of conjugate gradient steps.

The same arithmetic as in `models.rungs.ials.Ials.fold_in`, which explains it. Rows of one user's
history are [batch, MAX_HISTORY, factors]; vectors in the space of the factors are [batch, 1, factors].

Sums are matrix products: onnxruntime adds up the reduction of a single row in another order than that of several,
and what a question gets must not depend on whether it is alone.
"""

import numpy as np

from models.rungs.ials import SMALLEST, STEPS, Ials

_START = """
ials (float[batch, MAX_HISTORY, factors] rows, int32[batch, MAX_HISTORY] history) => (float[batch, factors] query)
<int64[1] middle = {1}, float smallest = {SMALLEST}>
{
  scaled = Mul (rows, root_weights)
  across = Transpose <perm = [0, 2, 1]> (scaled)
  size = Shape (history)
  of_each = Expand (right_weights, size)
  lying = Unsqueeze (of_each, middle)
  residual_0 = MatMul (lying, rows)
  direction_0 = Identity (residual_0)
  standing_residual_0 = Transpose <perm = [0, 2, 1]> (residual_0)
  left_0 = MatMul (residual_0, standing_residual_0)
"""

_STEP = """
  felt_STEP = MatMul (direction_STEP, across)
  pulled_STEP = MatMul (felt_STEP, scaled)
  pushed_STEP = Add (direction_STEP, pulled_STEP)
  standing_STEP = Transpose <perm = [0, 2, 1]> (direction_STEP)
  own_energy_STEP = MatMul (direction_STEP, standing_STEP)
  standing_felt_STEP = Transpose <perm = [0, 2, 1]> (felt_STEP)
  felt_energy_STEP = MatMul (felt_STEP, standing_felt_STEP)
  energy_STEP = Add (own_energy_STEP, felt_energy_STEP)
  divisor_STEP = Max (energy_STEP, smallest)
  length_STEP = Div (left_STEP, divisor_STEP)
  walked_STEP = Mul (length_STEP, direction_STEP)
"""

_ON_THE_WAY = """
  done_STEP = Mul (length_STEP, pushed_STEP)
  residual_NEXT = Sub (residual_STEP, done_STEP)
  standing_residual_NEXT = Transpose <perm = [0, 2, 1]> (residual_NEXT)
  left_NEXT = MatMul (residual_NEXT, standing_residual_NEXT)
  left_divisor_STEP = Max (left_STEP, smallest)
  turn_STEP = Div (left_NEXT, left_divisor_STEP)
  kept_STEP = Mul (turn_STEP, direction_STEP)
  direction_NEXT = Add (residual_NEXT, kept_STEP)
"""

_END = """
  user = Sum (WALKED)
  query = Squeeze (user, middle)
}
"""


def ials_encoder(max_history: int) -> str:
    """The encoder as ONNX text, which leaves `ials_weights` open."""
    steps = [
        (_STEP + (_ON_THE_WAY if step < STEPS - 1 else ""))
        .replace("STEP", str(step))
        .replace("NEXT", str(step + 1))
        for step in range(STEPS)
    ]
    walked = ", ".join(f"walked_{step}" for step in range(STEPS))
    text = "".join([_START, *steps, _END]).replace("MAX_HISTORY", str(max_history))
    return text.replace("SMALLEST", str(SMALLEST)).replace("WALKED", walked)


def ials_weights(model: Ials, max_history: int) -> dict[str, np.ndarray]:
    """The weights of the positions."""
    recency = model.recency(max_history)
    return {
        "root_weights": np.sqrt(np.float32(model.alpha) * recency)[None, :, None],
        "right_weights": np.float32(1 + model.alpha) * recency,
    }
