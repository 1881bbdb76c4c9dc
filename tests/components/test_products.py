"""What layers declare of their products with weights is what they compute."""

import copy

import numpy as np
import pytest

from nnreg.builtin.layers.recurrence import Recurrent
from nnreg.builtin.layers.spectral_norm import SpectralNorm
from nnreg.interfaces.join import OneInput
from nnreg.registry.registry import installed
from nnreg.testing.layer_pass import Pass
from nnreg.testing.layers import cases
from nnreg.testing.suite import _search

LAYERS = {entry.name: entry.cls for entry in installed() if entry.kind == "layer"}


def recorded(case):
    """Yield each layer of a pass, with its plan and the sizes of the products that it computes.

    Each has a workspace of its own.
    """
    tried, found = Pass(case), []

    def record(plan, context):
        for name, (layer, child) in plan.children.items():
            inner, sizes = context.children[name], []
            inner.workspace = copy.copy(tried.context.workspace)
            inner.workspace._buffers = None
            inner.workspace.rng = np.random.default_rng(5)

            def dot(a, b, out, sizes=sizes):
                sizes.append(a.shape[0] * a.shape[1] * b.shape[1])
                return a.dot(b, out)

            inner.workspace.dot = dot
            found.append((layer, child, sizes))
            record(child, inner)

    record(tried.network.plan, tried.context)
    tried.network.forward(tried.x, tried.context)
    return found


def check(case):
    for layer, plan, sizes in recorded(case):
        layer = layer.join if isinstance(layer, OneInput) else layer
        assert layer.divides_products or not sizes, f"{layer} divides products, undeclared"
        declared = [len(case.x) * one for one in plan.weight_products]
        if sizes and not isinstance(layer, SpectralNorm):  # it multiplies by a vector
            assert sorted(sizes) == sorted(declared), f"{layer} declares other products"
        if not layer.divides_products:
            assert not declared or isinstance(layer, Recurrent), f"{layer} may divide products"


@pytest.mark.parametrize("name", LAYERS)
def test_layers_declare_the_products_that_they_compute(name):
    _search(LAYERS[name], check, cases, examples=6, seed=0)
