"""Conformance checks for the tests of a component: correct gradients, no side effects, and more.

`checks` returns every check of a component over its configuration space, the same that
`nnreg plugin check` runs:

    import pytest
    from nnreg.testing import checks

    @pytest.mark.parametrize("check", checks(Swish), ids=str)
    def test_swish(check):
        check()

`check_activation`, `check_loss`, `check_layer` and `check_optimizer` run all checks on an instance.
A failed check raises AssertionError with the component, what was found and what was expected.
"""

from nnreg.testing.activations import check_activation
from nnreg.testing.finite_differences import EXTREMES, central_difference
from nnreg.testing.layers import check_layer
from nnreg.testing.losses import check_loss
from nnreg.testing.optimizers import check_optimizer
from nnreg.testing.strategies import configurations
from nnreg.testing.strict_arrays import StrictArray, StrictWorkspace
from nnreg.testing.suite import Check, Result, checks

__all__ = [
    "EXTREMES",
    "Check",
    "Result",
    "StrictArray",
    "StrictWorkspace",
    "central_difference",
    "check_activation",
    "check_layer",
    "check_loss",
    "check_optimizer",
    "checks",
    "configurations",
]
