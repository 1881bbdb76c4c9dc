"""Settings of single parameters: mappings from patterns of their names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import TypeVar

from nnreg._types import Shape
from nnreg._utils.suggestions import closest, did_you_mean
from nnreg.errors import Problem, SpecError
from nnreg.interfaces.component import Component
from nnreg.interfaces.constraint import Constraint
from nnreg.interfaces.optimizer import Optimizer
from nnreg.interfaces.regularizer import Regularizer
from nnreg.interfaces.returned import Caller
from nnreg.network.network import Network
from nnreg.network.parameters import within_member
from nnreg.training.settings import Train

T = TypeVar("T")

MAX_SHOWN = 6
"""The most names of parameters in an error message."""


def by_parameter(patterns: Mapping[str, T], names: Iterable[str]) -> dict[str, T]:
    """Return the value of the last pattern that matches each name, of those that any matches.

    In a pattern, `*` stands for any text, also with slashes, and `?` for any character.
    """
    found = {}
    for name in names:
        for pattern in reversed(list(patterns)):
            if _matches(name, pattern):
                found[name] = patterns[pattern]
                break
    return found


def _matches(name: str, pattern: str) -> bool:
    """Return whether a pattern matches a name, or the name within each member of an ensemble."""
    return fnmatchcase(name, pattern) or fnmatchcase(within_member(name), pattern)


def check_patterns(network: Network, settings: Train, optimizer: Optimizer) -> None:
    """Raise `SpecError` for a pattern without a parameter, or settings that do not fit theirs."""
    problems = [
        *_unmatched("regularize", settings.regularize, network),
        *_unmatched("constrain", settings.constrain, network),
        *_unmatched("learning_rates", settings.learning_rates, network),
        *_unfitting("regularize", settings.regularize, network),
        *_unfitting("constrain", settings.constrain, network),
        *_unsupported(network, settings, optimizer),
    ]
    if problems:
        raise SpecError(problems)


def _unmatched(key: str, patterns: Mapping[str, object], network: Network) -> Iterator[Problem]:
    """Yield a problem for each pattern that matches no parameter."""
    names = list(network.params)
    for pattern in patterns:
        if any(_matches(name, pattern) for name in names):
            continue
        meant = did_you_mean(closest(pattern, names))
        more = ", …" if len(names) > MAX_SHOWN else ""
        listed = f"; the parameters are {', '.join(names[:MAX_SHOWN])}{more}"
        text = f"no parameter matches {pattern!r}{meant or listed}"
        yield Problem(f"$.train.{key}.{pattern}", text, of_key=True)


def _unfitting(
    key: str, patterns: Mapping[str, Regularizer | Constraint | None], network: Network
) -> Iterator[Problem]:
    """Yield a problem for each pattern with a parameter of a shape that its component refuses."""
    owners = by_parameter({pattern: pattern for pattern in patterns}, network.params)
    reported = set()
    for name, pattern in owners.items():
        component, shape = patterns[pattern], network.params[name].shape
        reason = None if component is None else _refusal(component, shape)
        if reason and pattern not in reported:
            reported.add(pattern)
            text = f"{type(component).__name__} does not fit {name!r} of shape {shape}: {reason}"
            yield Problem(
                f"$.train.{key}.{pattern}", f"{text}; exclude it with a narrower or later pattern"
            )


def _refusal(component: Regularizer | Constraint, shape: Shape) -> str:
    """Return why a component refuses a parameter of this shape; empty if it does not."""
    return _checked(component, "check_shape", lambda: component.check_shape(shape))


def _checked(component: Component, method: str, check: Callable[[], None]) -> str:
    """Return the text of the `ValueError` that a check of a component raises, or nothing."""

    def run() -> str:
        try:
            check()
        except ValueError as error:
            return str(error)
        return ""

    return str(Caller(component).run(method, run))


def _unsupported(network: Network, settings: Train, optimizer: Optimizer) -> Iterator[Problem]:
    """Yield a problem for each setting that an optimizer cannot follow."""
    if settings.learning_rates and not optimizer.elementwise:
        text = "the optimizer updates all parameters at once, with one learning rate; remove this"
        yield Problem("$.train.learning_rates", text)
    if settings.constrain and optimizer.overrides_evaluation_parameters():
        text = (
            "the optimizer has weights of its own for validation and predictions, which would not "
            "be constrained; use another one, or remove this"
        )
        yield Problem("$.train.constrain", text)
    shapes = {name: param.shape for name, param in network.params.items()}
    reason = _checked(optimizer, "check_parameters", lambda: optimizer.check_parameters(shapes))
    if reason:
        yield Problem("$.optimizer", f"does not fit this network: {reason}")
