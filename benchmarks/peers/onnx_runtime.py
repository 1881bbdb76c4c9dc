"""ONNX Runtime, which only predicts."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from benchmarks.peers import Job, predictions
from benchmarks.workloads import Workload

IMAGES = 250
"""Images predicted at once: the fastest of 100, 250, 1,000 and 10,000."""


class OnnxRuntime:
    """A graph of ONNX operators, run on as many threads as the process has for its products."""

    def predict(self, workload: Workload, rows: int) -> Job:
        """Predict from and to NumPy arrays."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = int(os.environ["OMP_NUM_THREADS"])
        options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(
            graph(workload).SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        chunks = workload.chunks(workload.examples(rows)[0], IMAGES)
        return predictions(lambda chunk: session.run(None, {"x": chunk})[0], chunks)


def graph(workload: Workload) -> Any:
    """Return the ONNX model of a dense or convolutional network, its images channels-last."""
    from onnx import TensorProto, helper, numpy_helper

    rng, nodes, arrays = np.random.default_rng(0), [], []
    shape = workload.shape

    def add(operator: str, *inputs: str, **attributes: Any) -> None:
        nonlocal value
        name = f"{operator}_{len(nodes)}"
        nodes.append(helper.make_node(operator, [value, *inputs], [name], **attributes))
        value = name

    def array(*size: int) -> str:
        name, scale = f"array_{len(arrays)}", size[0] ** -0.5
        drawn = rng.normal(0, scale, size).astype(np.float32)
        arrays.append(numpy_helper.from_array(drawn, name))
        return name

    value = "x"
    if len(shape) == 3:
        add("Transpose", perm=[0, 3, 1, 2])
        shape = (shape[2], *shape[:2])
    for layer in (*workload.layers, {"type": "dense", "units": workload.classes}):
        match layer["type"]:
            case "dense":
                add("Gemm", array(shape[0], layer["units"]), array(layer["units"]))
                shape = (layer["units"],)
            case "conv2d":
                filters = layer["filters"]
                add("Conv", array(filters, shape[0], 3, 3), array(filters), kernel_shape=[3, 3])
                shape = (filters, shape[1] - 2, shape[2] - 2)
            case "max_pool2d":
                add("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
                shape = (shape[0], shape[1] // 2, shape[2] // 2)
            case "flatten":
                add("Flatten")
                shape = (int(np.prod(shape)),)
            case other:
                raise NotImplementedError(f"no graph is made of {other}")
        if layer.get("activation") == "relu":
            add("Relu")
    add("Softmax", axis=-1)
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, *workload.shape])
    y = helper.make_tensor_value_info(value, TensorProto.FLOAT, [None, workload.classes])
    whole = helper.make_graph(nodes, workload.name, [x], [y], arrays)
    return helper.make_model(whole, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
