"""Models as an ONNX graph, from raw columns to class names and probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg._utils.extras import installed
from nnreg._version import __version__
from nnreg.builtin.exporters import onnx_dates, onnx_labels
from nnreg.builtin.exporters.onnx_graph import Graph, Write
from nnreg.builtin.exporters.onnx_names import GraphNames
from nnreg.interfaces.exporter import Exporter
from nnreg.operations.operation import Body, Operand, Operation
from nnreg.operations.program import Program, ProgramOutput

OPSET, ML_OPSET = 20, 3

ELEMENTWISE = {
    "negative": "Neg", "abs": "Abs", "exp": "Exp", "log": "Log", "sqrt": "Sqrt", "sin": "Sin",
    "cos": "Cos", "tanh": "Tanh", "sign": "Sign", "floor": "Floor", "ceil": "Ceil",
    "round": "Round", "is_nan": "IsNaN", "not": "Not", "add": "Add",
    "subtract": "Sub", "multiply": "Mul", "divide": "Div", "power": "Pow", "maximum": "Max",
    "minimum": "Min", "less": "Less", "less_equal": "LessOrEqual", "greater": "Greater",
    "greater_equal": "GreaterOrEqual", "equal": "Equal", "and": "And", "or": "Or",
    "where": "Where", "matmul": "MatMul",
}  # fmt: skip
"""The operators of ONNX that compute the same."""


WORDS = (
    "ONNX has no operator that finds words: StringSplit knows one separator, and StringNormalizer "
    "writes small letters as the locale of the machine does, not as Unicode"
)
BYTES = "ONNX has no operator for the bytes of a text"
REASONS = {
    "count_terms": WORDS,
    "words": WORDS,
    "characters": (
        "ONNX has no operator for the characters of a text: StringSplit without a separator splits "
        "at white space"
    ),
    "byte_pairs": BYTES,
    "hash": BYTES,
}
"""Why what is read in a text cannot be expressed, by the operation, or the parts of a text."""


@dataclass(frozen=True)
class OnnxFile(Exporter):
    """An ONNX graph, from raw columns to class names and probabilities.

    Its inputs are tensors `(rows,)` of float64, NaN where missing, and of strings, empty where
    missing. An output of classes has their probabilities, and in `NAME_label` the most probable.
    Rows with a value that the model does not know, such as another category, become NaN.
    """

    suffix = ".onnx"

    @classmethod
    def missing(cls) -> str:
        return "" if installed("onnx") else "onnx; run: pip install 'nnreg[onnx]'"

    def unsupported(self, operation: Operation) -> str:
        if operation.name == "date_parts":
            return onnx_dates.reason(operation)
        if operation.name in {*WRITERS, "input"}:
            return ""
        parts = operation.attributes.get("parts", operation.name)
        return REASONS.get(parts, f"ONNX has no operation {operation.name!r}")

    def contents(self, program: Program) -> Mapping[str, bytes]:
        import onnx

        model = _Model(program, WRITERS).model()
        onnx.checker.check_model(model, full_check=True)
        return {"": model.SerializeToString(deterministic=True)}

    def run(
        self, program: Program, path: Path, columns: Mapping[str, Sequence[Any]]
    ) -> Mapping[str, Array] | None:
        if not installed("onnxruntime"):
            return None
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors only
        session = onnxruntime.InferenceSession(
            path.read_bytes(), options, providers=["CPUExecutionProvider"]
        )
        names = GraphNames(program)
        given = {names.inputs[one.name]: one.given(columns, "") for one in program.inputs}
        found = session.run([names.outputs[one.name] for one in program.outputs], given)
        return dict(zip((one.name or "prediction" for one in program.outputs), found, strict=True))


class _Model(Graph):
    """The graph of a program, with its outputs."""

    def model(self) -> Any:
        """Return the model."""
        helper, program = self.helper, self.program
        inputs = [
            _info(self, self.of_graph.inputs[one.name], one.operation) for one in program.inputs
        ]
        for one in program.operations:
            self.operation(one)
        outputs = [info for one in program.outputs for info in self.output(one)]
        graph = helper.make_graph(
            self.nodes, program.name or "model", inputs, outputs, list(self.tensors.values())
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
        return helper.make_model(
            graph, opset_imports=opsets, producer_name="nnreg", producer_version=__version__,
            ir_version=9,
        )  # fmt: skip

    def output(self, one: ProgramOutput) -> list[Any]:
        """Add the outputs of the graph; return their descriptions."""
        name, y = self.of_graph.outputs[one.name], self.value(one.operand)
        for condition in self.program.requirements:
            shape = self.tensor([-1, *[1] * len(one.operand.shape)], np.int64)
            valid = self.node("Reshape", self.value(condition.operand), shape)
            y = self.node("Where", valid, y, self.tensor(np.nan, one.operand.dtype))
        self.node("Identity", y, outputs=[name])
        found = [_info(self, name, one.operand)]
        if one.classes:
            label = self.of_graph.labels[one.name]
            chosen = self.node("ArgMax", name, axis=-1, keepdims=0)
            self.node(
                "LabelEncoder", chosen, outputs=[label],
                keys_int64s=list(range(len(one.classes))), values_strings=list(one.classes),
                default_string="",
            )  # fmt: skip
            labels: list[Any] = ["rows", *one.operand.shape[:-1]]
            kind = self.helper.np_dtype_to_tensor_dtype(np.dtype(object))
            found.append(self.helper.make_tensor_value_info(label, kind, labels))
        return found


def _elementwise(kind: str) -> Write:
    def write(writer: Graph, one: Operation) -> str:
        return writer.node(kind, *map(writer.value, one.inputs))

    return write


def _shaped(kind: str, first: int) -> Write:
    """Return a writer of an operator that takes the shape of its result as a tensor."""

    def write(writer: Graph, one: Operation) -> str:
        shape = writer.tensor([first, *one.shape], np.int64)
        return writer.node(kind, writer.value(one.inputs[0]), shape)

    return write


def _reduce(kind: str) -> Write:
    def write(writer: Graph, one: Operation) -> str:
        axes = writer.tensor([axis + 1 for axis in one.attributes["axes"]], np.int64)
        return writer.node(
            kind, writer.value(one.inputs[0]), axes, keepdims=int(one.attributes["keepdims"])
        )

    return write


def _not_equal(writer: Graph, one: Operation) -> str:
    return writer.node("Not", writer.node("Equal", *map(writer.value, one.inputs)))


def _expm1(writer: Graph, one: Operation) -> str:
    """exp(x) - 1 is 2 t / (1 - t) for t = tanh(x / 2), which is exact near 0."""
    x = writer.value(one.inputs[0])

    def number(value: float) -> str:
        return writer.tensor(value, one.dtype)

    t = writer.node("Tanh", writer.node("Mul", x, number(0.5)))
    near = writer.node("Div", writer.node("Mul", t, number(2)), writer.node("Sub", number(1), t))
    far = writer.node("Sub", writer.node("Exp", x), number(1))
    small = writer.node("Less", writer.node("Abs", x), number(1))
    return writer.node("Where", small, near, far)


def _log1p(writer: Graph, one: Operation) -> str:
    x = writer.value(one.inputs[0])
    return writer.node("Log", writer.node("Add", x, writer.tensor(1, one.dtype)))


def _erf(writer: Graph, one: Operation) -> str:
    """ONNX Runtime has the error function of float32 alone."""
    single = writer.node(
        "Cast", writer.value(one.inputs[0]), to=writer.type(np.array(0, np.float32))
    )
    return writer.node("Cast", writer.node("Erf", single), to=writer.type(one))


def _as_type(writer: Graph, one: Operation) -> str:
    return writer.node("Cast", writer.value(one.inputs[0]), to=writer.type(one))


def _transpose(writer: Graph, one: Operation) -> str:
    axes = [0, *(axis + 1 for axis in one.attributes["axes"])]
    return writer.node("Transpose", writer.value(one.inputs[0]), perm=axes)


def _concatenate(writer: Graph, one: Operation) -> str:
    parts = list(map(writer.of_rows, one.inputs))
    return writer.node("Concat", *parts, axis=one.attributes["axis"] + 1)


def _take(writer: Graph, one: Operation) -> str:
    x, axis, at = writer.value(one.inputs[0]), one.attributes["axis"] + 1, one.attributes["indices"]
    return writer.node("Gather", x, writer.tensor(at, np.int64), axis=axis)


def _gather(writer: Graph, one: Operation) -> str:
    return writer.node("Gather", *map(writer.value, one.inputs), axis=0)


def _lookup(writer: Graph, one: Operation) -> str:
    known = one.attributes["known"]
    return writer.node(
        "LabelEncoder", writer.value(one.inputs[0]),
        keys_strings=["" if text is None else text for text in known],
        values_int64s=list(range(len(known))), default_int64=-1,
    )  # fmt: skip


def _argmax(writer: Graph, one: Operation) -> str:
    axis = one.attributes["axis"] + 1
    return writer.node("ArgMax", writer.value(one.inputs[0]), axis=axis, keepdims=0)


def _cumulative_sum(writer: Graph, one: Operation) -> str:
    axis = writer.tensor(one.attributes["axis"] + 1, np.int64)
    return writer.node("CumSum", writer.value(one.inputs[0]), axis)


def _sort(writer: Graph, one: Operation) -> str:
    axis = one.attributes["axis"]
    count = writer.tensor([one.shape[axis]], np.int64)
    names = [writer.new(), writer.new()]
    return writer.node(
        "TopK", writer.value(one.inputs[0]), count, outputs=names, axis=axis + 1, largest=0
    )


def _einsum(writer: Graph, one: Operation) -> str:
    reads, _, result = one.attributes["subscripts"].partition("->")
    rows = next(letter for letter in "zyxwvutsrqp" if letter not in reads)
    pairs = zip(reads.split(","), one.inputs, strict=True)
    letters = [f"{rows}{own}" if isinstance(x, Operation) else own for own, x in pairs]
    equation = f"{','.join(letters)}->{rows}{result}"
    return writer.node("Einsum", *map(writer.value, one.inputs), equation=equation)


def _convolve(writer: Graph, one: Operation) -> str:
    x, weight = one.inputs
    assert isinstance(weight, np.ndarray)
    settings = one.attributes
    filters = writer.tensor(np.moveaxis(weight, (-1, -2), (0, 1)))
    y = writer.node(
        "Conv", writer.images(x), filters, strides=list(settings["strides"]),
        dilations=list(settings["dilation"]), group=settings["groups"],
    )  # fmt: skip
    return _channels_last(writer, one, y)


def _pool(writer: Graph, one: Operation) -> str:
    kind = "MaxPool" if one.name == "max_pool" else "AveragePool"
    size, strides = list(one.attributes["size"]), list(one.attributes["strides"])
    y = writer.node(kind, writer.images(one.inputs[0]), kernel_shape=size, strides=strides)
    return _channels_last(writer, one, y)


def _channels_last(writer: Graph, one: Operation, y: str) -> str:
    return writer.node("Transpose", y, perm=[0, *range(2, len(one.shape) + 1), 1])


def _scan(writer: Graph, one: Operation) -> str:
    """Add a Scan, whose body may read the values outside."""
    helper, body = writer.helper, one.attributes["body"]
    assert isinstance(body, Body)
    count = one.attributes["carried"]
    outside, writer.nodes = writer.nodes, []
    for argument in body.arguments:
        writer.names[argument] = writer.new()
    for inner in body.operations:
        writer.operation(inner)
    results = [writer.node("Identity", writer.of_rows(x)) for x in body.results]
    graph = helper.make_graph(
        writer.nodes, writer.new(), [_info(writer, writer.names[x], x) for x in body.arguments],
        [_info(writer, name, x) for name, x in zip(results, body.results, strict=True)],
    )  # fmt: skip
    writer.nodes = outside
    items, made = len(body.arguments) - count, len(body.results) - count
    direction = int(one.attributes["backwards"])
    names = [writer.new() for _ in results]
    writer.parts[one] = names
    return writer.node(
        "Scan", *map(writer.of_rows, one.inputs), outputs=names, body=graph,
        num_scan_inputs=items, scan_input_axes=[1] * items, scan_output_axes=[1] * made,
        scan_input_directions=[direction] * items, scan_output_directions=[direction] * made,
    )  # fmt: skip


def _info(writer: Graph, name: str, x: Operand) -> Any:
    return writer.helper.make_tensor_value_info(name, writer.type(x), ["rows", *x.shape])


def _part(writer: Graph, one: Operation) -> str:
    (scan,) = one.inputs
    assert isinstance(scan, Operation)
    found: str = writer.parts[scan][one.attributes["index"]]
    return found


WRITERS: Mapping[str, Write] = {
    **{name: _elementwise(kind) for name, kind in ELEMENTWISE.items()},
    "date_parts": onnx_dates.write,
    "count_labels": onnx_labels.write,
    "not_equal": _not_equal,
    "erf": _erf,
    "expm1": _expm1,
    "log1p": _log1p,
    "as_type": _as_type,
    "reshape": _shaped("Reshape", -1),
    "broadcast": _shaped("Expand", 1),
    "transpose": _transpose,
    "concatenate": _concatenate,
    "take": _take,
    "gather": _gather,
    "lookup": _lookup,
    "sum": _reduce("ReduceSum"),
    "max": _reduce("ReduceMax"),
    "min": _reduce("ReduceMin"),
    "argmax": _argmax,
    "cumulative_sum": _cumulative_sum,
    "sort": _sort,
    "einsum": _einsum,
    "convolve": _convolve,
    "max_pool": _pool,
    "mean_pool": _pool,
    "scan": _scan,
    "part": _part,
}
