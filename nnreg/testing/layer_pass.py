"""A layer in a network of its own, run forward and backward by the checks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from nnreg._types import Array, Shape, Shapes
from nnreg.interfaces.context import Workspace
from nnreg.interfaces.join import one_output, one_shape
from nnreg.interfaces.kernels import Kernels
from nnreg.interfaces.layer import Layer, LayerBuilder
from nnreg.network.network import Network
from nnreg.testing.finite_differences import points
from nnreg.testing.strict_arrays import StrictArray, StrictGenerator, StrictWorkspace, unwrap

CLASSES = 3

P = TypeVar("P", bound="Pass")


@dataclass(frozen=True)
class LayerCase:
    """A layer and an input `(batch, *shape)`; its parameters are drawn from `seed`."""

    layer: Layer
    x: Array
    seed: int = 0

    def __str__(self) -> str:
        return f"{self.layer} on {self.x.shape}"


class Pass:
    """One layer in its own network, ready to run forward and backward.

    The random generator is reset before each call. The gradient is `filled` with a value before,
    which the layer must overwrite.
    """

    def __init__(
        self,
        case: LayerCase,
        *,
        training: bool = True,
        dtype: npt.DTypeLike = np.float64,
        filled: float = 0.0,
        input_gradient: bool = True,
        strict: bool = False,
        kernels: Kernels | None = None,
    ) -> None:
        layer, size = case.layer, case.x.shape[1:]
        self.strict = strict
        plan = LayerBuilder("$", CLASSES)
        self.output = one_shape(self.declare(plan, layer, size))
        self.network = Network(plan, size, self.output, dtype=dtype)
        self.network.initialize(case.seed)
        self.network.vector += (0.3 * points((self.network.vector.size,), seed=3)).astype(dtype)
        self.gradient = np.full_like(self.network.vector, filled)
        self.context = self.network.context(
            (StrictWorkspace if strict else Workspace)(dtype, reuse=True, kernels=kernels),
            self.gradient,
            training=training,
            wrap=self._wrap if strict else None,
            input_gradient=input_gradient and not layer.integer_input,
        )
        self.inner = self.context.children["layers/0"]
        self.x = case.x if layer.integer_input else case.x.astype(dtype)
        self.dy = points((len(self.x), *self.output), seed=1).astype(dtype)

    def declare(self, root: LayerBuilder, layer: Layer, size: Shape) -> Shapes:
        """Build the layer as the only one of a network."""
        built: Shapes = root.layer("layers/0", layer, size)
        return built

    def forward(self, x: Array) -> tuple[Any, Any]:
        """Run forward on a copy of x; several outputs are put side by side."""
        workspace = self.context.workspace
        workspace.rewind()
        rng: Any = StrictGenerator(5) if self.strict else np.random.default_rng(5)
        workspace.rng = rng
        return self.call(self._wrap(x.copy()))

    def call(self, x: Any) -> tuple[Any, Any]:
        """Run forward on x, with the random generator as it is."""
        y, backward = one_output(self.network.forward(x, self.context))
        return y, backward

    def run(self) -> tuple[Array, Array | None]:
        """Run forward and backward, and return copies of the output and the input's gradient."""
        y, backward = self.forward(self.x)
        output = unwrap(y).copy()
        dx = backward(self._wrap(self.dy.copy()))
        return output, None if dx is None else unwrap(dx).copy()

    def infer(self) -> Array:
        """Return what `infer` of the layer returns for x; several outputs are put side by side."""
        y: Array
        y, _ = one_output((self.network.layers["layers/0"].infer(self.x, self.inner), None))
        return y

    def _wrap(self, x: Array) -> Any:
        return StrictArray(x) if self.strict else x

    def loss(self) -> float:
        """Return Σ y dy, the function that the backward pass differentiates."""
        return float(np.sum(self.forward(self.x)[0] * self.dy))


def different(passes: Iterable[P]) -> Iterator[tuple[P, Array | None]]:
    """Run passes; yield each with the input's gradient, without those whose results are known.

    Most layers do the same in training and in inference, and a check of both would do all twice.
    """
    known = set()
    for tried in passes:
        y, dx = tried.run()
        results = y.tobytes(), tried.gradient.tobytes(), None if dx is None else dx.tobytes()
        if results not in known:
            known.add(results)
            yield tried, dx
