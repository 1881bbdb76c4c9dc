"""Valid configurations of a component, drawn by Hypothesis from the annotations of its fields."""

from __future__ import annotations

import dataclasses
import types
import typing
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, Union, cast

from annotated_types import Ge, Gt, Interval, Le, Lt

from nnreg.builtin.activations import Identity, Sigmoid, Tanh
from nnreg.builtin.initializers import GlorotUniform, Uniform
from nnreg.builtin.layers.dense import ActivationLayer
from nnreg.builtin.schedules import Constant, Cosine
from nnreg.interfaces.activation import Activation
from nnreg.interfaces.encoder import learned_fields
from nnreg.interfaces.initializer import Initializer
from nnreg.interfaces.layer import Layer
from nnreg.interfaces.schedule import Schedule

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy


T = TypeVar("T")

NESTED: dict[type, tuple[Any, ...]] = {
    Activation: (Identity(), Tanh(), Sigmoid()),
    Initializer: (GlorotUniform(), Uniform()),
    Layer: (ActivationLayer(Tanh()), ActivationLayer(Sigmoid())),
    Schedule: (Constant(), Cosine()),
}
"""The values of a required option that is itself a component: smooth ones that preserve the
shape."""


def configurations(cls: type[T], **options: SearchStrategy[Any]) -> SearchStrategy[T]:
    """Return a Hypothesis strategy for instances of a component, from its field annotations.

    Numbers without a bound on one side are within 3 of the other bound or of 0, so that rounding
    does not hide errors. A field that is itself a component has its default, if any, and so has
    what an encoder learns; `options` may have strategies for fields. Values that the class rejects
    with `ValueError` are skipped. Raises `TypeError` for a field that needs a strategy in
    `options`.
    """
    from hypothesis import reject
    from hypothesis import strategies as st

    hints = typing.get_type_hints(cls, include_extras=True)
    drawn = {}
    for field in dataclasses.fields(cast(Any, cls)):
        if field.name in learned_fields(cls):
            continue
        optional = field.default is not dataclasses.MISSING
        strategy = options.get(field.name)
        if strategy is None and not (optional and hints[field.name] in NESTED):
            strategy = _strategy(hints[field.name])
        if strategy is None and optional:
            strategy = st.just(field.default)
        if strategy is None:
            raise TypeError(f"{cls.__name__}.{field.name}: give a strategy for this option")
        drawn[field.name] = strategy

    def make(**values: Any) -> T:
        try:
            return cls(**values)
        except ValueError:
            reject()

    return st.builds(make, **drawn)


def _strategy(hint: Any) -> SearchStrategy[Any] | None:
    """Return a strategy for values of a type, or None if they cannot be derived from it."""
    from hypothesis import strategies as st

    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return _bounded(arguments[0], arguments[1:])
    if hint in (int, float):
        return _bounded(hint, ())
    if hint is bool:
        return st.booleans()
    if hint is type(None):
        return st.none()
    if hint in NESTED:
        return st.sampled_from(NESTED[hint])
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin in (Union, types.UnionType):
        branches = [branch for branch in map(_strategy, arguments) if branch is not None]
        return st.one_of(branches) if len(branches) == len(arguments) else None
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        item = _strategy(arguments[0])
        return None if item is None else st.lists(item, min_size=1, max_size=3).map(tuple)
    if origin is tuple:
        parts = [part for part in map(_strategy, arguments) if part is not None]
        return st.tuples(*parts) if len(parts) == len(arguments) else None
    return None


def _bounded(kind: Any, constraints: tuple[Any, ...]) -> SearchStrategy[Any] | None:
    """Return numbers within annotated bounds, at least 0.01 from exclusive ones."""
    from hypothesis import strategies as st

    if kind not in (int, float):
        return None
    margin = 1 if kind is int else 0.01
    low: Any = None
    high: Any = None
    for constraint in constraints:
        for one in constraint if isinstance(constraint, Interval) else [constraint]:
            if isinstance(one, Ge | Gt):
                low = one.ge if isinstance(one, Ge) else cast(Any, one.gt) + margin
            if isinstance(one, Le | Lt):
                high = one.le if isinstance(one, Le) else cast(Any, one.lt) - margin
    if low is None and high is None:
        low, high = -3, 3
    low = high - 3 if low is None else low
    high = low + 3 if high is None else high
    return st.integers(low, high) if kind is int else st.floats(low, high)
