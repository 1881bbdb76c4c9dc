"""Models as an ONNX graph, from raw columns to class names and probabilities."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg._utils.extras import installed
from nnreg._version import __version__
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


REASONS = {
    "count_terms": "ONNX has no operator that finds words: StringSplit knows one separator",
    "tokens": "ONNX has no operator that finds words: StringSplit knows one separator",
    "byte_pairs": "ONNX has no operator for the bytes of a text",
    "hash": "ONNX has no operator for the bytes of a text",
    "count_labels": "ONNX has no operator that removes spaces or reads lists: only StringSplit",
    "date_parts": "ONNX has no operator that reads a part of a text, such as a year",
}
"""Why what is read in a text cannot be expressed, by the name of an operation."""


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
        if operation.name in {*ELEMENTWISE, *WRITERS, "input"}:
            return ""
        return REASONS.get(operation.name, f"ONNX has no operation {operation.name!r}")

    def contents(self, program: Program) -> Mapping[str, bytes]:
        import onnx

        model = _Writer(program).model()
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


class _Writer:
    """The nodes of a graph."""

    def __init__(self, program: Program) -> None:
        from onnx import helper, numpy_helper

        self.helper, self.numpy_helper, self.program = helper, numpy_helper, program
        self.of_graph = GraphNames(program)
        self.names: dict[Operation, str] = {}
        self.parts: dict[Operation, list[str]] = {}
        self.nodes: list[Any] = []
        self.tensors: dict[Any, Any] = {}
        self.kept: list[Array] = []
        self.count = 0

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

    def type(self, operand: Operand) -> int:
        """Return the number of an operand's type."""
        return int(self.helper.np_dtype_to_tensor_dtype(operand.dtype))

    def operation(self, one: Operation) -> None:
        """Add the nodes of an operation."""
        if one.name == "input":
            self.names[one] = self.of_graph.inputs[one.attributes["name"]]
        elif one.name in ELEMENTWISE:
            self.names[one] = self.node(ELEMENTWISE[one.name], *map(self.value, one.inputs))
        else:
            self.names[one] = WRITERS[one.name](self, one)

    def node(self, kind: str, *inputs: str, outputs: Sequence[str] = (), **attributes: Any) -> str:
        """Add a node; return its first output."""
        domain = "ai.onnx.ml" if kind == "LabelEncoder" else ""
        names = list(outputs) or [self.new()]
        self.nodes.append(
            self.helper.make_node(kind, list(inputs), names, domain=domain, **attributes)
        )
        return names[0]

    def new(self) -> str:
        """Return a new name."""
        self.count += 1
        return self.of_graph.new(f"/{self.count}")

    def value(self, operand: Operand) -> str:
        """Return the name of an operand."""
        return self.names[operand] if isinstance(operand, Operation) else self.tensor(operand)

    def tensor(self, array: Any, dtype: Any = None) -> str:
        """Return the name of a constant."""
        values = np.asarray(array, dtype)
        self.kept.append(values)
        text = values.dtype == object
        key = values.shape, str(values.dtype), values.tobytes() if not text else str(values)
        if key not in self.tensors:
            name = self.of_graph.new(f"/c{len(self.tensors)}")
            missing = np.array(["" if v is None else v for v in values.reshape(-1)], object)
            found = missing.reshape(values.shape) if text else np.ascontiguousarray(values)
            self.tensors[key] = self.numpy_helper.from_array(found.reshape(values.shape), name)
        return str(self.tensors[key].name)

    def of_rows(self, operand: Operand) -> str:
        """Return the name of an operand that has the axis of the rows."""
        if isinstance(operand, Operation):
            return self.names[operand]
        first = self.program.inputs[0].operation
        count = self.node("Shape", self.names[first], start=0, end=1)
        shape = self.node("Concat", count, self.tensor(operand.shape, np.int64), axis=0)
        return self.node("Expand", self.tensor(operand[None]), shape)

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

    def images(self, x: Operand) -> str:
        """Return a value with its channels before the space."""
        dims = len(x.shape) - 1
        return self.node("Transpose", self.value(x), perm=[0, dims + 1, *range(1, dims + 1)])


Write = Callable[[_Writer, Operation], str]


def _shaped(kind: str, first: int) -> Write:
    """Return a writer of an operator that takes the shape of its result as a tensor."""

    def write(writer: _Writer, one: Operation) -> str:
        shape = writer.tensor([first, *one.shape], np.int64)
        return writer.node(kind, writer.value(one.inputs[0]), shape)

    return write


def _reduce(kind: str) -> Write:
    def write(writer: _Writer, one: Operation) -> str:
        axes = writer.tensor([axis + 1 for axis in one.attributes["axes"]], np.int64)
        return writer.node(
            kind, writer.value(one.inputs[0]), axes, keepdims=int(one.attributes["keepdims"])
        )

    return write


def _not_equal(writer: _Writer, one: Operation) -> str:
    return writer.node("Not", writer.node("Equal", *map(writer.value, one.inputs)))


def _expm1(writer: _Writer, one: Operation) -> str:
    """exp(x) - 1 is 2 t / (1 - t) for t = tanh(x / 2), which is exact near 0."""
    x = writer.value(one.inputs[0])

    def number(value: float) -> str:
        return writer.tensor(value, one.dtype)

    t = writer.node("Tanh", writer.node("Mul", x, number(0.5)))
    near = writer.node("Div", writer.node("Mul", t, number(2)), writer.node("Sub", number(1), t))
    far = writer.node("Sub", writer.node("Exp", x), number(1))
    small = writer.node("Less", writer.node("Abs", x), number(1))
    return writer.node("Where", small, near, far)


def _log1p(writer: _Writer, one: Operation) -> str:
    x = writer.value(one.inputs[0])
    return writer.node("Log", writer.node("Add", x, writer.tensor(1, one.dtype)))


def _erf(writer: _Writer, one: Operation) -> str:
    """ONNX Runtime has the error function of float32 alone."""
    single = writer.node(
        "Cast", writer.value(one.inputs[0]), to=writer.type(np.array(0, np.float32))
    )
    return writer.node("Cast", writer.node("Erf", single), to=writer.type(one))


def _as_type(writer: _Writer, one: Operation) -> str:
    return writer.node("Cast", writer.value(one.inputs[0]), to=writer.type(one))


def _transpose(writer: _Writer, one: Operation) -> str:
    axes = [0, *(axis + 1 for axis in one.attributes["axes"])]
    return writer.node("Transpose", writer.value(one.inputs[0]), perm=axes)


def _concatenate(writer: _Writer, one: Operation) -> str:
    parts = list(map(writer.of_rows, one.inputs))
    return writer.node("Concat", *parts, axis=one.attributes["axis"] + 1)


def _take(writer: _Writer, one: Operation) -> str:
    x, axis, at = writer.value(one.inputs[0]), one.attributes["axis"] + 1, one.attributes["indices"]
    return writer.node("Gather", x, writer.tensor(at, np.int64), axis=axis)


def _gather(writer: _Writer, one: Operation) -> str:
    return writer.node("Gather", *map(writer.value, one.inputs), axis=0)


def _lookup(writer: _Writer, one: Operation) -> str:
    known = one.attributes["known"]
    return writer.node(
        "LabelEncoder", writer.value(one.inputs[0]),
        keys_strings=["" if text is None else text for text in known],
        values_int64s=list(range(len(known))), default_int64=-1,
    )  # fmt: skip


def _argmax(writer: _Writer, one: Operation) -> str:
    axis = one.attributes["axis"] + 1
    return writer.node("ArgMax", writer.value(one.inputs[0]), axis=axis, keepdims=0)


def _cumulative_sum(writer: _Writer, one: Operation) -> str:
    axis = writer.tensor(one.attributes["axis"] + 1, np.int64)
    return writer.node("CumSum", writer.value(one.inputs[0]), axis)


def _sort(writer: _Writer, one: Operation) -> str:
    axis = one.attributes["axis"]
    count = writer.tensor([one.shape[axis]], np.int64)
    names = [writer.new(), writer.new()]
    return writer.node(
        "TopK", writer.value(one.inputs[0]), count, outputs=names, axis=axis + 1, largest=0
    )


def _einsum(writer: _Writer, one: Operation) -> str:
    reads, _, result = one.attributes["subscripts"].partition("->")
    rows = next(letter for letter in "zyxwvutsrqp" if letter not in reads)
    pairs = zip(reads.split(","), one.inputs, strict=True)
    letters = [f"{rows}{own}" if isinstance(x, Operation) else own for own, x in pairs]
    equation = f"{','.join(letters)}->{rows}{result}"
    return writer.node("Einsum", *map(writer.value, one.inputs), equation=equation)


def _convolve(writer: _Writer, one: Operation) -> str:
    x, weight = one.inputs
    assert isinstance(weight, np.ndarray)
    settings = one.attributes
    filters = writer.tensor(np.moveaxis(weight, (-1, -2), (0, 1)))
    y = writer.node(
        "Conv", writer.images(x), filters, strides=list(settings["strides"]),
        dilations=list(settings["dilation"]), group=settings["groups"],
    )  # fmt: skip
    return _channels_last(writer, one, y)


def _pool(writer: _Writer, one: Operation) -> str:
    kind = "MaxPool" if one.name == "max_pool" else "AveragePool"
    size, strides = list(one.attributes["size"]), list(one.attributes["strides"])
    y = writer.node(kind, writer.images(one.inputs[0]), kernel_shape=size, strides=strides)
    return _channels_last(writer, one, y)


def _channels_last(writer: _Writer, one: Operation, y: str) -> str:
    return writer.node("Transpose", y, perm=[0, *range(2, len(one.shape) + 1), 1])


def _scan(writer: _Writer, one: Operation) -> str:
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


def _info(writer: _Writer, name: str, x: Operand) -> Any:
    return writer.helper.make_tensor_value_info(name, writer.type(x), ["rows", *x.shape])


def _part(writer: _Writer, one: Operation) -> str:
    (scan,) = one.inputs
    assert isinstance(scan, Operation)
    found: str = writer.parts[scan][one.attributes["index"]]
    return found


WRITERS: Mapping[str, Write] = {
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
