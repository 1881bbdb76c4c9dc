"""Components with one mistake each, by the check that must find it.

Each derives from one that is right. `DRIFT` gives what changes from call to call.
"""

import itertools
import json
import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Interval

from nnreg import (
    Activation,
    DataError,
    Initializer,
    Layer,
    Loss,
    Metric,
    Optimizer,
    Schedule,
    ShapeError,
    Source,
    Table,
)
from nnreg.builtin.activations import Sigmoid
from nnreg.builtin.initializers import Ones
from nnreg.interfaces.kernels import Kernels

DRIFT = itertools.cycle([0, 1e-14])
KEPT = {}


@dataclass(frozen=True)
class Good(Activation):
    """y = tanh(gain · x)"""

    gain: Annotated[float, Interval(ge=0.5, le=2)] = 1.0

    def forward(self, x):
        y = np.tanh(self.gain * x)
        return y, lambda dy: self.gain * dy * (1 - y * y)


@dataclass(frozen=True)
class Undocumented(Good):
    def forward(self, x):
        return super().forward(x)


@dataclass(frozen=True)
class OptionUndocumented(Good):
    """y = tanh(gain · x)"""

    other: int = 1


@dataclass(frozen=True)
class ChangesItself(Good):
    """y = tanh(gain · x)"""

    def __post_init__(self):
        object.__setattr__(self, "gain", self.gain + 1)


@dataclass(frozen=True)
class WrongBetweenWholeNumbers(Activation):
    """y = x"""

    def forward(self, x):
        return x.copy(), lambda dy: dy * (1 + 0.1 * np.sin(2 * np.pi * x))


@dataclass(frozen=True)
class WrongAtZero(Activation):
    """y = max(x, 0)"""

    def forward(self, x):
        return np.maximum(x, 0), lambda dy: dy * np.where(x == 0, x.dtype.type(5), x > 0)


@dataclass(frozen=True)
class Overflows(Activation):
    """y = log(1 + exp(x))"""

    def forward(self, x):
        return np.log1p(np.exp(x)), lambda dy: dy * (0.5 + 0.5 * np.tanh(0.5 * x))


@dataclass(frozen=True)
class Doubles(Good):
    """y = tanh(gain · x), in float64 always."""

    def forward(self, x):
        y, backward = super().forward(x)
        return y * np.float64(1), backward


@dataclass(frozen=True)
class NoEmptyBatch(Good):
    """y = tanh(gain · x) + 0 · max(x)"""

    def forward(self, x):
        y, backward = super().forward(x)
        return y + 0 * np.max(x), backward


@dataclass(frozen=True)
class WritesGradient(Good):
    """y = tanh(gain · x)"""

    def forward(self, x):
        y = np.tanh(self.gain * x)

        def backward(dy):
            dy *= self.gain * (1 - y * y)
            return dy

        return y, backward


@dataclass(frozen=True)
class Drifts(Good):
    """y = tanh(gain · x)"""

    def forward(self, x):
        y, backward = super().forward(x)
        return y, lambda dy: backward(dy) + next(DRIFT)


@dataclass(frozen=True)
class Remembers(Good):
    """y = tanh(gain · x)"""

    def forward(self, x):
        KEPT["y"] = np.tanh(self.gain * x)
        return KEPT["y"], lambda dy: self.gain * dy * (1 - KEPT["y"] ** 2)


@dataclass(frozen=True)
class BuffersWrongly(Good):
    """y = tanh(gain · x)"""

    def forward_buffered(self, x, context):
        y, _ = self.forward(x)
        return y, lambda dy: dy * (1 - y * y) * (1 + self.gain)


@dataclass(frozen=True)
class Converts(Good):
    """y = tanh(gain · x)"""

    def forward(self, x):
        return super().forward(np.asarray(x))


@dataclass(frozen=True)
class OutOfRange(Good):
    """y = tanh(gain · x)"""

    range = (0.0, 1.0)


@dataclass(frozen=True)
class GoodLoss(Loss):
    """mean((y - t)²)"""

    def forward(self, y, t):
        d = y - t
        return float(np.mean(d * d)), lambda: d * (2 / d.size)


@dataclass(frozen=True)
class HalfGradient(Loss):
    """mean((y - t)²) of classes, the factor 2 forgotten"""

    of_classes = True

    def forward(self, y, t):
        d = y - t
        return float(np.mean(d * d)), lambda: d / d.size


@dataclass(frozen=True)
class KinkyLoss(Loss):
    """mean(|y - t|)"""

    def forward(self, y, t):
        d = y - t
        return float(np.mean(np.abs(d))), lambda: np.where(d == 0, 3, np.sign(d)) / d.size


@dataclass(frozen=True)
class OverflowingLoss(Loss):
    """mean(log cosh(y - t))"""

    def forward(self, y, t):
        d = y - t
        return float(np.mean(np.log(np.cosh(d)))), lambda: np.tanh(d) / d.size


@dataclass(frozen=True)
class DoubleLoss(GoodLoss):
    """mean((y - t)²), in float64 always"""

    def forward(self, y, t):
        value, backward = super().forward(y, t)
        return value, lambda: backward() * np.float64(1)


@dataclass(frozen=True)
class ArrayLoss(GoodLoss):
    """mean((y - t)²) as an array"""

    def forward(self, y, t):
        value, backward = super().forward(y, t)
        return np.array(value), backward


@dataclass(frozen=True)
class SumLoss(Loss):
    """Σ (y - t)²"""

    def forward(self, y, t):
        d = y - t
        return float(np.sum(d * d)), lambda: 2 * d


@dataclass(frozen=True)
class MixingLoss(Loss):
    """mean((y - t)²) + mean(y - t)²"""

    def forward(self, y, t):
        d = y - t
        mean = float(np.mean(d))
        return float(np.mean(d * d)) + mean * mean, lambda: (d + mean) * (2 / d.size)


@dataclass(frozen=True)
class WritingLoss(Loss):
    """mean((y - t)²)"""

    def forward(self, y, t):
        y -= t
        return float(np.mean(y * y)), lambda: y * (2 / y.size)


@dataclass(frozen=True)
class DriftingLoss(GoodLoss):
    """mean((y - t)²)"""

    def forward(self, y, t):
        value, backward = super().forward(y, t)
        return value, lambda: backward() + next(DRIFT)


@dataclass(frozen=True)
class RememberingLoss(Loss):
    """mean((y - t)²)"""

    def forward(self, y, t):
        KEPT["d"] = y - t
        return float(np.mean(KEPT["d"] ** 2)), lambda: KEPT["d"] * (2 / KEPT["d"].size)


@dataclass(frozen=True)
class LossBufferedWrongly(GoodLoss):
    """mean((y - t)²)"""

    def forward_buffered(self, y, t, context, *, logits):
        value, backward = self.forward(y, t)
        return value, lambda: 2 * backward()


@dataclass(frozen=True)
class Unlinked(GoodLoss):
    """mean((y - t)²) of probabilities; of the logits themselves after a sigmoid"""

    of_classes = True
    domain = (0.0, 1.0)
    link = Sigmoid

    def forward_logits(self, z, t):
        return self.forward(z, t)


@dataclass(frozen=True)
class ConvertingLoss(GoodLoss):
    """mean((y - t)²)"""

    def forward(self, y, t):
        return super().forward(np.asarray(y), np.asarray(t))


@dataclass(frozen=True)
class Scale(Layer):
    """y = scale · x"""

    independent = True

    def build(self, shape, plan):
        if not shape:
            raise ShapeError(shape, "(batch, ..., features)")
        plan.param("scale", shape[-1:], Ones())
        return shape

    def summed(self, product):
        return np.sum(product, axis=tuple(range(product.ndim - 1)))

    def write(self, gradient, product):
        gradient[...] = self.summed(product)

    def forward(self, x, context):
        scale = context.params["scale"]

        def backward(dy):
            self.write(context.gradients["scale"], dy * x)
            return dy * scale

        return x * scale, backward


@dataclass(frozen=True)
class Averages(Scale):
    """y = scale · x, its gradient a mean over the batch"""

    def write(self, gradient, product):
        gradient[...] = self.summed(product) / max(len(product), 1)


@dataclass(frozen=True)
class Adds(Scale):
    """y = scale · x, its gradient added to the one before"""

    def write(self, gradient, product):
        gradient[...] = np.where(np.isnan(gradient), 0, gradient) + self.summed(product)


@dataclass(frozen=True)
class WritesHalf(Scale):
    """y = scale · x, only half of whose gradient is written: the other half happens to be 0"""

    def build(self, shape, plan):
        plan.param("unused", (1,), Ones())
        return super().build(shape, plan)


@dataclass(frozen=True)
class OverflowingLayer(Scale):
    """y = scale · exp(x)"""

    def forward(self, x, context):
        e = np.exp(x)
        y, backward = super().forward(e, context)
        return y, lambda dy: backward(dy) * e


@dataclass(frozen=True)
class DoubleLayer(Scale):
    """y = scale · x, in float64 always"""

    def forward(self, x, context):
        y, backward = super().forward(x, context)
        return y * np.float64(1), backward


@dataclass(frozen=True)
class NoEmptyBatchLayer(Scale):
    """y = scale · x + 0 · max(x)"""

    def forward(self, x, context):
        y, backward = super().forward(x, context)
        return y + 0 * np.max(x), backward


@dataclass(frozen=True)
class WritingLayer(Scale):
    """y = scale · x"""

    def forward(self, x, context):
        y, backward = super().forward(x, context)

        def overwrite(dy):
            dx = backward(dy)
            dy[...] = dx
            return dy

        return y, overwrite


@dataclass(frozen=True)
class DriftingLayer(Scale):
    """y = scale · x"""

    def forward(self, x, context):
        y, backward = super().forward(x, context)
        return y + next(DRIFT), backward


@dataclass(frozen=True)
class RememberingLayer(Scale):
    """y = scale · x"""

    def forward(self, x, context):
        y, backward = super().forward(x, context)
        KEPT["backward"] = backward
        return y, lambda dy: KEPT["backward"](dy)


@dataclass(frozen=True)
class SkipsFirst(Scale):
    """y = scale · x, its gradient forgotten where the input's is not needed"""

    def forward(self, x, context):
        y, backward = super().forward(x, context)
        return y, lambda dy: backward(dy) if context.needs_input_gradient else None


@dataclass(frozen=True)
class FailsToRefuse(Scale):
    """y = scale · x"""

    def build(self, shape, plan):
        plan.param("scale", (shape[-1],), Ones())
        return shape


@dataclass(frozen=True)
class Centres(Scale):
    """y = scale · (x - mean over the batch)"""

    def centre(self, x):
        return x - np.sum(x, axis=0) / max(len(x), 1)

    def forward(self, x, context):
        y, backward = super().forward(self.centre(x), context)
        return y, lambda dy: self.centre(backward(dy))


@dataclass(frozen=True)
class ConvertingLayer(Scale):
    """y = scale · x"""

    def forward(self, x, context):
        return super().forward(np.asarray(x), context)


@dataclass(frozen=True)
class Descent(Optimizer):
    """p ← p - learning_rate · g"""

    def update(self, parameters, gradient, step):
        np.subtract(parameters, self.learning_rate * gradient, out=parameters)


@dataclass(frozen=True)
class Ascent(Optimizer):
    """p ← p + learning_rate · g"""

    def update(self, parameters, gradient, step):
        np.add(parameters, self.learning_rate * gradient, out=parameters)


@dataclass(frozen=True)
class DividesByZero(Descent):
    """p ← p - learning_rate · g / |g|"""

    def update(self, parameters, gradient, step):
        super().update(parameters, gradient / np.abs(gradient), step)


@dataclass(frozen=True)
class CoarseInSingle(Descent):
    """p ← p - learning_rate · (g + 10⁵ eps)"""

    def update(self, parameters, gradient, step):
        super().update(parameters, gradient + 1e5 * np.finfo(parameters.dtype).eps, step)


@dataclass(frozen=True)
class WritingOptimizer(Descent):
    """p ← p - learning_rate · g"""

    def update(self, parameters, gradient, step):
        np.multiply(gradient, self.learning_rate, out=gradient)
        np.subtract(parameters, gradient, out=parameters)


@dataclass(frozen=True)
class LeavesOneOut(Descent):
    """p ← p - learning_rate · g, but for the last"""

    def update(self, parameters, gradient, step):
        super().update(parameters[:-1], gradient[:-1], step)


@dataclass(frozen=True)
class DriftingOptimizer(Descent):
    """p ← p - learning_rate · g"""

    def update(self, parameters, gradient, step):
        super().update(parameters, gradient + next(DRIFT), step)


@dataclass(frozen=True)
class RememberingOptimizer(Descent):
    """v ← v / 2 + g; p ← p - learning_rate · v"""

    def update(self, parameters, gradient, step):
        KEPT["v"] = gradient + (0 if step.count == 1 else KEPT["v"] / 2)
        super().update(parameters, KEPT["v"], step)


@dataclass(frozen=True)
class ByNorm(Descent):
    """p ← p - learning_rate · g / (1 + ‖g‖)"""

    elementwise = True

    def update(self, parameters, gradient, step):
        norm = math.sqrt(float(np.dot(gradient, gradient)))
        super().update(parameters, gradient / (1 + norm), step)


@dataclass(frozen=True)
class ConvertingOptimizer(Descent):
    """p ← p - learning_rate · g"""

    def update(self, parameters, gradient, step):
        super().update(parameters, np.asarray(gradient), step)


@dataclass(frozen=True)
class Falling(Schedule):
    """1 - p / 2"""

    def factor(self, moment):
        return 1 - moment.progress / 2


@dataclass(frozen=True)
class BelowZero(Falling):
    """1 - 2 p"""

    def factor(self, moment):
        return 1 - 2 * moment.progress


@dataclass(frozen=True)
class DriftingSchedule(Falling):
    """1 - p / 2"""

    def factor(self, moment):
        return super().factor(moment) + next(DRIFT)


@dataclass(frozen=True)
class RememberingSchedule(Falling):
    """0.9 times the factor before"""

    def factor(self, moment):
        KEPT["factor"] = 0.9 * KEPT["factor"] if moment.step else 1.0
        return KEPT["factor"]


@dataclass(frozen=True)
class WritingSchedule(Falling):
    """1 - p / 2"""

    def factor(self, moment):
        for record in moment.history:
            record["seen"] = record.get("seen", 0) + 1
        return super().factor(moment)


@dataclass(frozen=True)
class WithinEpochs(Falling):
    """1 - p / 2"""

    by_epoch = True


@dataclass(frozen=True)
class FlatKernels(Initializer):
    """Normal, the receptive field forgotten"""

    def draw(self, shape, rng):
        return rng.normal(size=shape[-2:])


@dataclass(frozen=True)
class OwnGenerator(Initializer):
    """Normal, from a generator of its own"""

    def draw(self, shape, rng):
        return np.random.default_rng().normal(size=shape)


@dataclass(frozen=True)
class Inverse(Metric):
    """1 / mean(|y - t|), infinite where all is right"""

    def compute(self, y, t):
        return float(1 / np.mean(np.abs(y - t)))


@dataclass(frozen=True)
class Distance(Metric):
    """mean(|y - t|)"""

    higher_is_better = False

    def compute(self, y, t):
        return float(np.mean(np.abs(y - t)))


@dataclass(frozen=True)
class WrongWay(Distance):
    """mean(|y - t|)"""

    higher_is_better = True


@dataclass(frozen=True)
class Ordered(Distance):
    """mean(k |y_k - t_k|)"""

    def compute(self, y, t):
        weights = np.arange(1, len(y) + 1)[:, None]
        return super().compute(y * weights, t * weights)


@dataclass(frozen=True)
class WritingMetric(Metric):
    """mean(|y - t|)"""

    higher_is_better = False

    def compute(self, y, t):
        y -= t
        return float(np.mean(np.abs(y)))


@dataclass(frozen=True)
class DriftingMetric(Distance):
    """mean(|y - t|)"""

    def compute(self, y, t):
        return super().compute(y, t) + next(DRIFT)


@dataclass(frozen=True)
class JsonColumns(Source):
    """A JSON object of columns."""

    @classmethod
    def examples(cls):
        return [(cls(), b'{"a": [1, 2], "b": ["x", null]}')]

    def columns(self, path):
        tree = json.loads(path.read_bytes())
        types = {name: object if "x" in column else float for name, column in tree.items()}
        return {name: np.array(column, types[name]) for name, column in tree.items()}

    def read(self, path):
        try:
            return Table(self.columns(path))
        except (ValueError, AttributeError) as error:
            raise DataError(f"{path}: not a JSON object: {error}") from error


@dataclass(frozen=True)
class CrashingSource(JsonColumns):
    """A JSON object of columns."""

    def read(self, path):
        return Table(self.columns(path))


@dataclass(frozen=True)
class UnevenSource(JsonColumns):
    """A JSON object of columns, one of them cut."""

    def columns(self, path):
        columns = super().columns(path)
        return {**columns, "b": columns["b"][:1]}


@dataclass(frozen=True)
class DriftingSource(JsonColumns):
    """A JSON object of columns."""

    def columns(self, path):
        columns = super().columns(path)
        return {**columns, "a": columns["a"] + next(DRIFT)}


@dataclass(frozen=True)
class ForgetfulSource(JsonColumns):
    """A JSON object of columns."""

    def pieces(self, path, text=()):
        table = self.read(path)
        yield table.part(slice(0, 1))
        yield table.part(slice(0, 1))


@dataclass(frozen=True)
class SourceOfNowhere(JsonColumns):
    """A JSON object of columns."""

    def files(self, path):
        return path, path.with_name("nowhere")


@dataclass(frozen=True)
class FormulaWithKinks(Activation):
    """y = |x| - max(x, shift), which only central differences can differentiate"""

    shift: float = 1.0

    def formula(self, x):
        return np.abs(x) - np.maximum(x, self.shift)


@dataclass(frozen=True)
class FormulaOverAnAxis(Activation):
    """y = x - max(x) over the last axis, whose derivative the formula alone cannot give"""

    def formula(self, x):
        return x - np.max(x, axis=-1, keepdims=True)


@dataclass(frozen=True)
class WrongRelu(Kernels):
    """NumPy's, but for a bias that is forgotten"""

    def relu(self, x, bias):
        super().relu(x, None)


@dataclass(frozen=True)
class WrongCrossEntropy(Kernels):
    """NumPy's, but for a gradient that is summed over rows"""

    def softmax_cross_entropy(self, z, labels, dz, scratch, *, smoothing=0.0):
        loss = super().softmax_cross_entropy(z, labels, dz, scratch, smoothing=smoothing)
        np.multiply(dz, len(z), out=dz)
        return loss


@dataclass(frozen=True)
class WrongAdam(Kernels):
    """NumPy's, but for a rate that is doubled"""

    def adam(self, *vectors, rate, **options):
        super().adam(*vectors, rate=2 * rate, **options)


RIGHT = [Good, FormulaWithKinks, GoodLoss, Scale, Descent, Falling, Distance, JsonColumns]

BROKEN = {
    "activation": {
        "documented": [Undocumented, OptionUndocumented],
        "round trip": [ChangesItself],
        "gradient": [WrongBetweenWholeNumbers],
        "kinks": [WrongAtZero],
        "extremes": [Overflows],
        "float32": [Doubles],
        "shapes": [NoEmptyBatch],
        "inputs kept": [WritesGradient],
        "repeatable": [Drifts],
        "reentrant": [Remembers],
        "buffered": [BuffersWrongly],
        "dispatch": [Converts],
        "declared range": [OutOfRange],
    },
    "loss": {
        "gradient": [HalfGradient],
        "kinks": [KinkyLoss],
        "extremes": [OverflowingLoss],
        "float32": [DoubleLoss],
        "shapes": [ArrayLoss],
        "mean": [SumLoss],
        "independent": [MixingLoss],
        "inputs kept": [WritingLoss],
        "repeatable": [DriftingLoss],
        "reentrant": [RememberingLoss],
        "buffered": [LossBufferedWrongly],
        "linked": [Unlinked],
        "dispatch": [ConvertingLoss],
    },
    "layer": {
        "gradient": [Averages],
        "written": [Adds, WritesHalf],
        "extremes": [OverflowingLayer],
        "float32": [DoubleLayer],
        "shapes": [NoEmptyBatchLayer],
        "inputs kept": [WritingLayer],
        "repeatable": [DriftingLayer],
        "reentrant": [RememberingLayer],
        "first": [SkipsFirst],
        "refuses": [FailsToRefuse],
        "independent": [Centres],
        "dispatch": [ConvertingLayer],
    },
    "optimizer": {
        "descends": [Ascent],
        "extremes": [DividesByZero],
        "float32": [CoarseInSingle],
        "gradient kept": [WritingOptimizer],
        "in place": [LeavesOneOut],
        "repeatable": [DriftingOptimizer],
        "reentrant": [RememberingOptimizer],
        "elementwise": [ByNorm],
        "dispatch": [ConvertingOptimizer],
    },
    "schedule": {
        "positive": [BelowZero],
        "repeatable": [DriftingSchedule],
        "any order": [RememberingSchedule],
        "history kept": [WritingSchedule],
        "by epoch": [WithinEpochs],
    },
    "initializer": {"shapes": [FlatKernels], "repeatable": [OwnGenerator]},
    "metric": {
        "a number": [Inverse],
        "direction": [WrongWay],
        "order": [Ordered],
        "inputs kept": [WritingMetric],
        "repeatable": [DriftingMetric],
    },
    "source": {
        "damaged files": [CrashingSource],
        "reads": [UnevenSource],
        "repeatable": [DriftingSource],
        "pieces": [ForgetfulSource, SourceOfNowhere],
    },
    "kernels": {
        "layers": [WrongRelu],
        "losses": [WrongCrossEntropy],
        "optimizers": [WrongAdam],
    },
}
"""By kind and check, the components that this check, and no other, must find broken."""
