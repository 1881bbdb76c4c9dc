"""All conformance checks of a component, over its configurations."""

from __future__ import annotations

import contextlib
import copy
import functools
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nnreg.errors import NnregError, UsageError
from nnreg.interfaces.component import Component
from nnreg.interfaces.encoder import Encoder
from nnreg.interfaces.trainable_activation import TrainableActivation
from nnreg.registry.registry import Registry, installed
from nnreg.testing import (
    activations,
    augmentations,
    constraints,
    encoders,
    executors,
    exporters,
    initializers,
    kernels,
    layers,
    losses,
    metrics,
    optimizers,
    regularizers,
    schedules,
    sources,
    trainable_activations,
)
from nnreg.testing import components as general
from nnreg.testing.strategies import configurations

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy


KINDS: dict[str, Any] = {
    "activation": activations,
    "loss": losses,
    "layer": layers,
    "optimizer": optimizers,
    "schedule": schedules,
    "initializer": initializers,
    "regularizer": regularizers,
    "constraint": constraints,
    "augmentation": augmentations,
    "metric": metrics,
    "source": sources,
    "encoder": encoders,
    "exporter": exporters,
    "executor": executors,
    "kernels": kernels,
}
"""For each kind, the module with its checks."""

RETURNS = "returns"
"""The check without which the later ones are not run."""

EXAMPLES = 20
"""The default number of configurations per check."""


@dataclass(frozen=True)
class Result:
    """The result of one check. `promise` is what it verifies; `found` is empty if it passed."""

    check: str
    promise: str
    passed: bool
    found: str


@dataclass(frozen=True)
class Check:
    """One check of a component, of the statement `promise`. Raises AssertionError if it fails."""

    name: str
    promise: str
    run: Callable[[], None]

    def __str__(self) -> str:
        return self.name

    def __call__(self) -> None:
        """Search the configurations for one that fails."""
        with _quiet():
            self.run()

    def result(self) -> Result:
        """Run the check and return its result."""
        try:
            self()
        except AssertionError as error:
            return Result(self.name, self.promise, passed=False, found=str(error))
        return Result(self.name, self.promise, passed=True, found="")


def checks(
    cls: type[Component],
    *,
    examples: int = EXAMPLES,
    seed: int = 0,
    registry: Registry | None = None,
) -> list[Check]:
    """Return every check that applies to a component.

    Each searches `examples` configurations, drawn from the annotations with `seed`, and reports the
    simplest one that fails. `registry` has the components that its options name; by default, all
    installed ones. In a plugin's own tests:

        @pytest.mark.parametrize("check", checks(Swish), ids=str)
        def test_swish(check):
            check()

    Raises `UsageError` if Hypothesis, which draws the configurations, is not installed.
    """
    _require_hypothesis()
    found = [
        _check(general.documented, lambda: general.documented(cls)),
        _check(general.annotated, lambda: general.annotated(cls)),
    ]
    round_trip = functools.partial(general.round_trip, registry=registry or installed())
    functools.update_wrapper(round_trip, general.round_trip)
    functions = [(round_trip, lambda example: [_component(example)])]
    trained = issubclass(cls, TrainableActivation)
    module = trainable_activations if trained else KINDS[cls.kind]
    functions += [(function, module.cases) for function in module.checks_of(cls)]
    drawn = functools.cache(functools.partial(_drawn, cls, examples=examples, seed=seed))
    for function, cases in functions:

        def run(function: Any = function, cases: Any = cases) -> None:
            try:
                for case in drawn(cases):
                    function(copy.deepcopy(case))
            except (Exception, SystemExit) as error:
                _search(cls, function, cases, examples, seed)
                raise AssertionError(f"flaky: {error}") from error

        found.append(_check(function, run))
    return found


def results(checks: Iterable[Check]) -> list[Result]:
    """Run checks and return their results, with one failure for each cause.

    If a method returns something else than it should, the later checks are not run: all would
    fail. A check that fails with the text of an earlier one refers to that.
    """
    done: list[Result] = []
    causes: dict[str, str] = {}
    for check in checks:
        result = check.result()
        if not result.passed:
            first = causes.setdefault(result.found, check.name)
            if first != check.name:
                result = replace(result, found=f"as in {first!r}")
        done.append(result)
        if check.name == RETURNS and not result.passed:
            break
    return done


@contextlib.contextmanager
def leaving_no_traces() -> Iterator[None]:
    """Prevent Hypothesis from creating its directory in the working directory."""
    _require_hypothesis()
    from hypothesis.configuration import set_hypothesis_home_dir

    with tempfile.TemporaryDirectory() as directory:
        set_hypothesis_home_dir(directory)
        yield
        set_hypothesis_home_dir(None)


def _require_hypothesis() -> None:
    try:
        import hypothesis  # noqa: F401 (only to check that it is installed)
    except ModuleNotFoundError as error:
        raise UsageError(
            "Hypothesis, which draws the configurations, is not installed; "
            "run: pip install hypothesis"
        ) from error


def _check(function: Callable[..., None], run: Callable[[], None]) -> Check:
    promise = " ".join((function.__doc__ or "").split())
    return Check(function.__name__.replace("_", " "), promise, run)


def _drawn(
    cls: type[Component], cases: Callable[[Any], list[Any]], *, examples: int, seed: int
) -> list[Any]:
    """Return the cases that a search tries first, which all checks share to be fast."""
    found: list[Any] = []
    _search(cls, found.append, cases, examples, seed)
    return found


def _search(
    cls: type[Component],
    function: Callable[[Any], None],
    cases: Callable[[Any], list[Any]],
    examples: int,
    seed: int,
) -> None:
    """Call a check with drawn cases; raise the error of the simplest one that fails."""
    import hypothesis as h
    from hypothesis import strategies as st
    from hypothesis.errors import Flaky, Unsatisfiable

    drawn = _instances(cls).map(cases).filter(bool).flatmap(st.sampled_from)

    @h.seed(seed)
    @h.settings(
        max_examples=examples,
        database=None,
        deadline=None,
        derandomize=False,
        verbosity=h.Verbosity.quiet,
        suppress_health_check=list(h.HealthCheck),
        report_multiple_bugs=False,
        print_blob=False,
        phases=(h.Phase.generate, h.Phase.shrink),
    )
    @h.given(drawn)
    def attempt(case: Any) -> None:
        try:
            function(case)
        except AssertionError:
            raise
        except NnregError as error:
            raise AssertionError(str(error)) from error
        except (Exception, SystemExit) as error:
            raise AssertionError(f"{case}: {type(error).__name__}: {error}") from error

    try:
        attempt()
    except Unsatisfiable:
        text = (
            f"supports none of the inputs {layers.SHAPES}, without the batch axis; define a class "
            "method 'examples' that returns pairs of a layer and an input shape"
        )
        if issubclass(cls, Encoder):
            text = (
                "takes none of the columns of the checks; define a class method 'examples' that "
                "returns pairs of an encoder and the values of a column"
            )
        raise AssertionError(f"{cls.__name__}: {text}") from None
    except Flaky as error:
        first = next(iter(getattr(error, "exceptions", [])), error)
        raise AssertionError(f"flaky: {first}") from None


def _instances(cls: type[Component]) -> SearchStrategy[Any]:
    """Return a strategy for configurations, including the examples of the class."""
    from hypothesis import strategies as st

    examples = list(cls.examples())
    try:
        drawn = configurations(cls)
    except TypeError as error:
        if not examples:
            raise AssertionError(
                f"{error}, as one of the instances that a class method 'examples' returns"
            ) from None
        return st.sampled_from(examples)
    if not examples:
        return drawn
    return st.sampled_from(examples) | drawn


def _component(example: Any) -> Any:
    return example[0] if isinstance(example, tuple) else example


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence floating-point warnings, as in training, and redirect what a component prints."""
    with np.errstate(all="ignore"), contextlib.redirect_stdout(sys.stderr):
        yield
