"""Comparisons of layers: outputs, and gradients of the inputs and parameters."""

import numpy as np

from nnreg.interfaces.join import OneInput, flat_inputs, one_input, split_values
from nnreg.network.parameters import views
from nnreg.testing.layer_masks import MaskedPass
from nnreg.testing.layer_pass import LayerCase, Pass
from tests.parity.comparison import compare


def compare_layer(
    torch, layer, inputs, compute, *, peer=None, lengths=None, training=True, drawn=False
):
    """Compare a layer with `compute(xs, p)`, a function of its inputs and our parameters.

    `peer` is what `compute` calls, if it is not marked; `lengths` are those of masks, by name.
    Returns our pass.
    """
    own, _ = one_input(layer, tuple(x.shape[1:] for x in inputs))
    joined = isinstance(own, OneInput)
    case = LayerCase(own, flat_inputs(inputs) if joined else inputs[0])
    tried = MaskedPass(case, lengths) if lengths else Pass(case, training=training)
    y, dx = tried.run()
    xs = [torch.tensor(x.copy(), requires_grad=x.dtype.kind == "f") for x in inputs]
    p = {
        name.removeprefix("layers/0/"): torch.tensor(values.copy(), requires_grad=True)
        for name, values in tried.network.parameters.items()
    }
    expected = compute(xs, p).reshape(y.shape)
    expected.backward(torch.tensor(tried.dy))
    real = tried.real_output if lengths else np.ones(y.shape, bool)
    found = split_values(dx, [x.shape[1:] for x in inputs]) if joined else [dx]
    gradients = [(a, x.grad) for a, x in zip(found, xs, strict=True) if x.requires_grad]
    gradients += [
        (a, p[name.removeprefix("layers/0/")].grad)
        for name, a in views(tried.gradient, tried.network.params).items()
    ]
    values = [(y[real], expected.detach().numpy()[real])]
    compare(layer, peer or compute, values, gradients, drawn=drawn)
    return tried
