"""Inference requests that are wrong, each with what its 400 must say."""

import copy
import json
from dataclasses import dataclass, field

GOOD = {
    "id": "mine",
    "inputs": [
        {"name": "history", "shape": [2, 4], "datatype": "INT32", "data": [-1, -1, -1, 0, -1, -1, 0, 3]},
        {"name": "excluded", "shape": [2, 1], "datatype": "INT32", "data": [[0], [-1]]},
        {"name": "k", "shape": [1], "datatype": "INT64", "data": [2]},
    ],
}
HISTORY, EXCLUDED, K = range(3)


@dataclass
class Wrong:
    """What is good with a `change`, at the top or in one input; or a whole `body`. `said`: part of the error."""

    name: str
    said: str
    change: dict = field(default_factory=dict)
    at: int | None = None
    body: str | None = None

    def sent(self) -> bytes:
        if self.body is not None:
            return self.body.encode()
        request = copy.deepcopy(GOOD)
        (request if self.at is None else request["inputs"][self.at]).update(self.change)
        return json.dumps(request).encode()


WRONG = [
    Wrong("nothing", "the body is empty", body=""),
    Wrong("a list", "expected `object`, got `array`", body="[]"),
    Wrong("half a body", "not valid JSON", body='{"inputs": ['),
    Wrong("NaN", "not valid JSON", body='{"inputs":[{"name":"k","shape":[1],"datatype":"INT64","data":[NaN]}]}'),
    Wrong("a key twice", "stands twice", body=json.dumps(GOOD)[:-1] + ',"id":"other"}'),
    Wrong("an unknown field", "unknown field 'x'; expected some of inputs", {"x": 1}),
    Wrong("an unknown field of an input", "inputs[1]: unknown field 'x'", {"x": 1}, EXCLUDED),
    Wrong("a parameter", "parameters: unknown field 'timeout'; expected some of binary",
          {"parameters": {"timeout": 1}}),
    Wrong("a parameter of an input", "inputs[0].parameters: unknown",
          {"parameters": {"shared_memory_region": "a"}}, 0),
    Wrong("an unknown field whose name looks like a place", "unknown field 'a` - at `$.b'; expected",
          {"a` - at `$.b": 1}),
    Wrong("an unknown field of an input whose name does", "inputs[1]: unknown field 'a` - at `$.inputs[0].b'",
          {"a` - at `$.inputs[0].b": 1}, EXCLUDED),
    Wrong("data of a hundred thousand lists", "nested too deeply; expected data that are numbers",
          body=json.dumps(GOOD).replace("[2]}", "[" * 100_000 + "]" * 100_000 + "}")),
    Wrong("data of a hundred thousand objects", "nested too deeply",
          body=json.dumps(GOOD).replace("[2]}", '{"a":' * 100_000 + "1" + "}" * 100_000 + "}")),
    Wrong("an id that is a number", "id: expected `str`", {"id": 7}),
    Wrong("a long id", "id: expected `str` of length <= 256", {"id": "x" * 257}),
    Wrong("no inputs", "inputs: without history, excluded, k; expected", {"inputs": []}),
    Wrong("an input too few", "inputs: without k; expected history, excluded, k", {"inputs": GOOD["inputs"][:2]}),
    Wrong("an input twice", "k stands twice", {"inputs": [*GOOD["inputs"], GOOD["inputs"][K]]}),
    Wrong("an unknown input", "no input 'user'; expected history, excluded, k", {"name": "user"}, HISTORY),
    Wrong("seventeen inputs", "inputs: expected `array` of length <= 16", {"inputs": [GOOD["inputs"][K]] * 17}),
    Wrong("another datatype", "input history: the datatype is 'INT64'; expected INT32",
          {"datatype": "INT64"}, HISTORY),
    Wrong("bytes", "the datatype is 'BYTES'; expected INT64", {"datatype": "BYTES"}, K),
    Wrong("a short row", "the shape is [2, 3]; expected [batch, 4]", {"shape": [2, 3]}, HISTORY),
    Wrong("one dimension", "the shape is [8]; expected [batch, 4]", {"shape": [8]}, HISTORY),
    Wrong("no dimension", "the shape is []; expected [1]", {"shape": [], "data": []}, K),
    Wrong("nine dimensions", "inputs[0].shape: expected `array` of length <= 8", {"shape": [1] * 9}, HISTORY),
    Wrong("no row", "batch from 1 to 64", {"shape": [0, 4], "data": []}, HISTORY),
    Wrong("too many rows", "the shape is [65, 4]; expected [batch, 4] with batch from 1 to 64",
          {"shape": [65, 4]}, 0),
    Wrong("a huge shape", "the shape is [4611686018427387904, 4]", {"shape": [2**62, 4]}, HISTORY),
    Wrong("a size that is no int64", "shape[0]: expected `int` <= 9223372036854775807",
          {"shape": [2**64, 4]}, HISTORY),
    Wrong("a negative size", "shape[0]: expected `int` >= 0", {"shape": [-1, 4]}, HISTORY),
    Wrong("too much excluded", "m from 0 to 2000", {"shape": [2, 2001]}, EXCLUDED),
    Wrong("other rows", "history has 2 rows and excluded 1", {"shape": [1, 1], "data": [0]}, EXCLUDED),
    Wrong("a number too few", "there are 7 numbers; the shape [2, 4] has 8", {"data": [0] * 7}, HISTORY),
    Wrong("a number too many", "there are 9 numbers; the shape [2, 4] has 8", {"data": [0] * 9}, HISTORY),
    Wrong("ragged rows", "there are 2 lists of 3 to 4 numbers", {"data": [[0, 0, 0], [0, 0, 0, 0]]}, HISTORY),
    Wrong("too few rows", "there are 4 numbers; the shape", {"data": [[0, 0, 0, 0]]}, HISTORY),
    Wrong("empty rows too many", "there are 0 numbers", {"shape": [2, 0], "data": [[], [], []]}, EXCLUDED),
    Wrong("a body full of empty rows", "inputs[1].data: there are 200000 lists; expected numbers alone, or one",
          {"shape": [2, 0], "data": [[]] * 200_000}, EXCLUDED),
    Wrong("rows and numbers", "1 lists and 4 numbers side by side", {"data": [[0, 0, 0, 0], 0, 0, 0, 0]}, HISTORY),
    Wrong("lists in rows", "data[0][0]: expected `int`, got `array`", {"data": [[[0]]]}, HISTORY),
    Wrong("a list for a vector", "1 lists of 1 numbers", {"data": [[2]]}, K),
    Wrong("a fraction", "data[0]: expected `int | array`, got `float`", {"data": [1.5] * 8}, HISTORY),
    Wrong("a float that is whole", "got `float`", {"data": [2.0]}, K),
    Wrong("text", "data[0]: expected `int | array`, got `str`", {"data": ["0"] * 8}, HISTORY),
    Wrong("nulls", "got `null`", {"data": [None] * 8}, HISTORY),
    Wrong("null", "input k: there is no data", {"data": None}, K),
    Wrong("another model's name", "model_name is 'sasrec'; the path says item-to-item", {"model_name": "sasrec"}),
    Wrong("true", "got `bool`", {"data": [True]}, K),
    Wrong("data that is an object", "data: expected `array`, got `object`", {"data": {"a": 1}}, K),
    Wrong("no data", "input k: there is no data",
          {"inputs": [*GOOD["inputs"][:2], {"name": "k", "shape": [1], "datatype": "INT64"}]}),
    Wrong("an index behind the catalog", "there is 8; expected item indices from 0 to 7",
          {"data": [8] * 8}, HISTORY),
    Wrong("an index before padding", "there is -2; expected item indices", {"data": [-2, 0]}, EXCLUDED),
    Wrong("an index that int32 would wrap", "there is 4294967296", {"data": [2**32] * 2}, EXCLUDED),
    Wrong("an index that is no int64", "expected `int` <= 9223372036854775807", {"data": [2**63] * 2}, EXCLUDED),
    Wrong("an index of 4,000 digits", "expected `int` <= 9223372036854775807",
          body=json.dumps(GOOD).replace("[2]}", "[" + "9" * 4000 + "]}")),
    Wrong("padding behind an item", "row 1 has -1 behind an item",
          {"data": [-1, -1, 0, 1, 0, -1, -1, 1]}, HISTORY),
    Wrong("k of none", "input k: there is 0; expected 1 to 8", {"data": [0]}, K),
    Wrong("k beyond the catalog", "input k: there is 9; expected 1 to 8", {"data": [9]}, K),
    Wrong("an unknown output", "outputs[0]: there is no 'embedding'", {"outputs": [{"name": "embedding"}]}),
    Wrong("an output twice", "outputs[1]: items stands twice", {"outputs": [{"name": "items"}] * 2}),
    Wrong("classes of an output", "unknown field 'classification'",
          {"outputs": [{"name": "items", "parameters": {"classification": 1}}]}),
    Wrong("data in JSON and behind it", "there are data and binary_data_size",
          {"parameters": {"binary_data_size": 32}}, 0),
]  # fmt: skip
