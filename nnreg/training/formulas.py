"""What components that define only a formula need in training, and what they cost."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import TypeAlias

from nnreg.errors import NnregWarning
from nnreg.interfaces import traced
from nnreg.interfaces.activation import Activation
from nnreg.interfaces.component import Component
from nnreg.interfaces.join import Join
from nnreg.interfaces.layer import Layer, LayerBuilder
from nnreg.interfaces.loss import Loss
from nnreg.interfaces.numeric_derivative import derivative

Located: TypeAlias = tuple[str, Component, LayerBuilder | None]
"""The path of a component in the spec, and for a layer how it was built."""


def require_derivatives(located: Iterable[Located]) -> None:
    """Raise `PluginError` for a layer or loss that needs autograd, if that is not installed."""
    for _, component, _ in located:
        if _by_formula(type(component)):
            traced.require_autograd(component)


def warn_of_cost(located: Iterable[Located]) -> None:
    """Warn once per class of a derivative that is slow to compute."""
    seen = set[type]()
    for path, component, _ in located:
        if type(component) not in seen and (note := _cost(component)):
            seen.add(type(component))
            warnings.warn(f"{path}: {type(component).__name__} {note}", NnregWarning, stacklevel=5)


def lacks_derivative(cls: type[Component]) -> bool:
    """Return True for a component that has a formula alone, if autograd is not installed."""
    alone = issubclass(cls, Activation) and cls.forward is Activation.forward
    return (alone or _by_formula(cls)) and not traced.installed()


def _by_formula(cls: type[Component]) -> bool:
    """Return True for a layer or loss that defines only a formula."""
    return (
        issubclass(cls, Layer | Loss)
        and cls.forward in (Layer.forward, Join.forward, Loss.forward)
        and cls.formula not in (Layer.formula, Loss.formula)
    )


def _cost(component: Component) -> str:
    """Return a note on how the derivative of a formula is computed, if that is slow."""
    if _by_formula(type(component)):
        return (
            "is differentiated by autograd, and takes 3 to 20 times as long to train as with a "
            "method 'forward'"
        )
    if isinstance(component, Activation) and type(component).forward is Activation.forward:
        how = derivative(component)
        if how.reason:
            return (
                f"is differentiated by {how.method}, which take 5 times as long as its formula or "
                f"more: {how.reason}"
            )
    return ""
