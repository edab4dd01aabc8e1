"""Variant ivf: items in blocks, a row of bytes each, and every question looks at a few. Plain ONNX operators.
Of a table that learned codes, the variant jpq-ivf: a row is its codes.

    1. the query is held against every block's centroid, and the best blocks are taken
    2. their rows are gathered, whole blocks at a time, and multiplied by the query as integers
    3. the best k, and as many more as are excluded, are kept; what is excluded falls away; the best k remain

The query goes in as two digits of 6 bits and a sign, in one product: 12 bits and exact sums, the same on every
processor (see `export.variants.activations` for why 8 bits would not be). Rows of the history come from the same
table. Every row of a batch is worked on by itself.

More blocks are looked at only where a question asks for more than the usual ones hold, so an answer is never
short; `room` says up to how many items, answers and exclusions together, that never happens.
"""

import onnx

from contracts.graph import QUERY
from export.graphs.onnx_text import piece
from export.graphs.outline import Outline
from export.graphs.scoring import Scoring
from export.heads.blocks import Blocks
from export.heads.excluding import EXCLUDE, closed
from export.heads.ivf_tables import DIGIT, Probing, ivf_tables

_SPARE = 2
"""Blocks more than an answer fills: one for the part of a block, one for that whose places are not all taken."""

_ROW_INDEX = """short_place = Gather <axis = 0> (place_of_item, history)
  place = Cast <to = 7> (short_place)
  row_block = Div (place, width)
  row_lane = Mod (place, width)
  row_blocks = Unsqueeze (row_block, last)
  row_lanes = Unsqueeze (row_lane, last)
  row_index = Concat <axis = 2> (row_blocks, row_lanes)"""

_LOOKUP = """
lookup (int32[batch, MAX_HISTORY] history) => (float[batch, MAX_HISTORY, DIMENSION] rows)
<int64 width = {WIDTH}, int64[1] last = {2}, float zero = {128.0}>
{
  ROW_INDEX
  row_bytes = GatherND (block_rows, row_index)
  row_wide = Cast <to = 1> (row_bytes)
  row_steps = Sub (row_wide, zero)
  row_scale = GatherND (block_scales, row_index)
  row_scales = Unsqueeze (row_scale, last)
  rows = Mul (row_steps, row_scales)
}
"""

_PROBE = """
probe (float[batch, DIMENSION] query, int32[batch, m] excluded, int64[1] k)
  => (int64[batch, probed] blocks, float[batch, every] block_scores)
<int64[1] width = {WIDTH}, int64[1] least = {PROBED}, int64[1] spare = {SPARE}, int64[1] last = {1},
 int64[1] front = {FRONT}, int64 front_end = {FRONT}, int64 start = {0}, int64 step = {1}>
{
  block_scores = Gemm <transB = 1> (query, centroids, centroid_bias)
  more = Shape <start = 1, end = 2> (excluded)
  wanted = Add (k, more)
  whole = Div (wanted, width)
  enough = Add (whole, spare)
  asked = Max (least, enough)
  all_blocks = Shape <start = 1, end = 2> (block_scores)
  behind = Sub (all_blocks, front)
  probed = Min (asked, behind)
  candidates = Slice (block_scores, front, all_blocks, last)
  best_scores, best = TopK <axis = 1> (candidates, probed)
  best_blocks = Add (best, front)
  in_front = Range (start, front_end, step)
  batch = Shape <start = 0, end = 1> (query)
  front_shape = Concat <axis = 0> (batch, front)
  front_blocks = Expand (in_front, front_shape)
  blocks = Concat <axis = 1> (front_blocks, best_blocks)
}
"""

_SCORES = """
score (float[batch, DIMENSION] query, int64[batch, probed] blocks) => (float[batch, found] plain)
<int64[3] flat = {0, -1, DIMENSION}, int64[2] flat_numbers = {0, -1}, int64[1] last = {1}, int64[1] digit = {2},
 float per_step = {PER_STEP}, float tiny = {1e-30}, float low_steps = {126.0}, uint8 zero = {128}>
{
  size = Abs (query)
  largest = ReduceMax <keepdims = 1> (size, last)
  some_step = Mul (largest, per_step)
  query_step = Max (some_step, tiny)
  steps = Div (query, query_step)
  high = Round (steps)
  rest = Sub (steps, high)
  rest_steps = Mul (rest, low_steps)
  low = Round (rest_steps)
  high_digit = Unsqueeze (high, digit)
  low_digit = Unsqueeze (low, digit)
  both_digits = Concat <axis = 2> (high_digit, low_digit)
  digits = Cast <to = 3> (both_digits)
  some_rows = Gather <axis = 0> (block_rows, blocks)
  rows_in_line = Reshape (some_rows, flat)
  sums = MatMulInteger (rows_in_line, digits, zero)
  wide_sums = Cast <to = 1> (sums)
  of_digits = MatMul (wide_sums, digit_weights)
  dots = Squeeze (of_digits, digit)
  scaled = Mul (dots, query_step)
  some_scales = Gather <axis = 0> (block_scales, blocks)
  scales = Reshape (some_scales, flat_numbers)
  products = Mul (scaled, scales)
  some_bias = Gather <axis = 0> (block_bias, blocks)
  bias = Reshape (some_bias, flat_numbers)
  plain = Add (products, bias)
}
"""

_LOOKUP_CODES = """
lookup (int32[batch, MAX_HISTORY] history) => (float[batch, MAX_HISTORY, DIMENSION] rows)
<int64 width = {WIDTH}, int64[1] last = {2}, int64[3] in_line = {0, 0, DIMENSION}>
{
  ROW_INDEX
  row_codes = GatherND (block_codes, row_index)
  wide_codes = Cast <to = 6> (row_codes)
  row_places = Add (wide_codes, first_of_codebook)
  parts = Gather <axis = 0> (centroid_rows, row_places)
  rows = Reshape (parts, in_line)
}
"""

_SCORES_OF_CODES = """
score (float[batch, DIMENSION] query, int64[batch, probed] blocks) => (float[batch, found] plain)
<int64[4] by_codebook = {0, CODEBOOKS, 1, PART}, int64[2] in_line = {0, -1}, int64[3] by_item = {0, -1, CODEBOOKS},
 int64[1] codebooks = {2}>
{
  query_parts = Reshape (query, by_codebook)
  products = MatMul (query_parts, centroid_columns)
  product_of_centroid = Reshape (products, in_line)
  some_codes = Gather <axis = 0> (block_codes, blocks)
  codes_in_line = Reshape (some_codes, by_item)
  wide_codes = Cast <to = 6> (codes_in_line)
  places = Add (wide_codes, first_of_codebook)
  places_in_line = Reshape (places, in_line)
  found_products = GatherElements <axis = 1> (product_of_centroid, places_in_line)
  products_by_item = Reshape (found_products, by_item)
  dots = ReduceSum <keepdims = 0> (products_by_item, codebooks)
  some_bias = Gather <axis = 0> (block_bias, blocks)
  bias = Reshape (some_bias, in_line)
  plain = Add (dots, bias)
}
"""

_SAME = """
same (float[batch, found] plain) => (float[batch, found] found_scores) { found_scores = Identity (plain) }
"""

_MIX = """
mix (float[batch, found] plain, float[batch, every] block_scores, int64[batch, probed] blocks)
  => (float[batch, found] found_scores)
<float[1] lowest = {-inf}, int64[2] flat_numbers = {0, -1}, int64[1] last = {1}>
{
  masses = Add (block_scores, block_mass)
  probed_shape = Shape (blocks)
  nothing = Expand (lowest, probed_shape)
  others = ScatterElements <axis = 1> (masses, blocks, nothing)
  everything = Concat <axis = 1> (plain, others)
  total = ReduceLogSumExp <keepdims = 1> (everything, last)
  logs = Sub (plain, total)
  probabilities = Exp (logs)
  some_popular = Gather <axis = 0> (block_popular, blocks)
  popular = Reshape (some_popular, flat_numbers)
  either = Add (probabilities, popular)
  found_scores = Log (either)
}
"""

_BEST = """
best (float[batch, found] found_scores, int64[batch, probed] blocks, int32[batch, m] excluded, int64[1] k)
  => (int32[batch, taken] found_items, float[batch, taken] best_found)
<int64 width = {WIDTH}>
{
  more = Shape <start = 1, end = 2> (excluded)
  wanted = Add (k, more)
  most = Shape <start = 1, end = 2> (found_scores)
  taken = Min (wanted, most)
  best_found, positions = TopK <axis = 1> (found_scores, taken)
  which = Div (positions, width)
  lane = Mod (positions, width)
  own_block = GatherElements <axis = 1> (blocks, which)
  before = Mul (own_block, width)
  places = Add (before, lane)
  found_items = Gather <axis = 0> (item_of_place, places)
}
"""


def room_of(blocks: Blocks, probing: Probing) -> int:
    """Answers and exclusions, together, for which no more blocks are looked at than usual. Of a catalog that has
    fewer blocks all are looked at, whoever asks."""
    return (probing.probed - _SPARE) * blocks.width


def blocks_for(room: int, width: int) -> int:
    """How many blocks have that room, see `room_of`."""
    return -(-room // width) + _SPARE


def ivf_graph(scoring: Scoring, blocks: Blocks, probing: Probing, opset: int) -> Outline:
    """The whole graph, see `contracts.graph`; `blocks` are those of the rows with their bias behind."""
    text = (_LOOKUP if scoring.codes is None else _LOOKUP_CODES).replace("ROW_INDEX", _ROW_INDEX)
    lookup = _piece(text, scoring, blocks, probing, opset)
    search = _search(scoring, blocks, probing, opset)
    return closed([lookup, scoring.encoder, *search], ivf_tables(scoring, blocks, probing))


def ivf_search(scoring: Scoring, blocks: Blocks, probing: Probing, opset: int) -> Outline:
    """What stands behind the encoder alone: `query` float32 [batch, d] in the place of the history."""
    tables = ivf_tables(scoring, blocks, probing)
    del tables["place_of_item"]  # only histories are looked up by it
    return closed(_search(scoring, blocks, probing, opset), tables, (QUERY,))


def _search(scoring: Scoring, blocks: Blocks, probing: Probing, opset: int) -> list[onnx.ModelProto]:
    scores = _SCORES if scoring.codes is None else _SCORES_OF_CODES
    texts = [_PROBE, scores, _MIX if scoring.popular is not None else _SAME, _BEST, EXCLUDE]
    return [_piece(text, scoring, blocks, probing, opset) for text in texts]


def _piece(text: str, scoring: Scoring, blocks: Blocks, probing: Probing, opset: int) -> onnx.ModelProto:
    sizes = {"WIDTH": blocks.width, "PROBED": probing.probed, "FRONT": probing.front}
    sizes |= {"PER_STEP": 1 / DIGIT, "SPARE": _SPARE}
    if scoring.codes is not None:
        sizes |= {"CODEBOOKS": len(scoring.codes[0]), "PART": scoring.codes[1].shape[2]}
    for name, size in sizes.items():
        text = text.replace(name, str(size))
    return piece(scoring.text(text), opset)
