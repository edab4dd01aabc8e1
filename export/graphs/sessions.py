"""onnxruntime sessions for what is looked into while a graph is made; what serves opens its own."""

import onnx
import onnxruntime as ort


def session_options() -> ort.SessionOptions:
    """One thread, so that sums add up in the same order everywhere; only what fails is said."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return options


def open_session(model: onnx.ModelProto) -> ort.InferenceSession:
    """A graph in one piece. Raises what onnxruntime raises for one that it cannot run."""
    return ort.InferenceSession(model.SerializeToString(), session_options(), providers=["CPUExecutionProvider"])
