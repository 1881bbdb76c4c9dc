"""A run checks the components of plugins once, before it trains or writes anything."""

import math
from dataclasses import dataclass

import numpy as np
import pytest

import nnreg
from nnreg import Activation, Layer, Loss, Metric, Optimizer
from nnreg.errors import PluginError
from nnreg.interfaces import Initializer
from nnreg.training import component_checks
from nnreg.training.gradient_check import wrong_gradient
from tests.training.test_returned_values import X, Y, document, fit, hidden


class Plain(Initializer):
    """Half of 1"""

    def draw(self, shape, rng):
        return rng.normal(size=shape)


@dataclass(frozen=True)
class NoReturn(Activation):
    """sin x"""

    def formula(self, x):
        np.sin(x)


@dataclass(frozen=True)
class NoBackward(Activation):
    """sin x"""

    def forward(self, x):
        return np.sin(x)


@dataclass(frozen=True)
class NoReturnInBackward(Activation):
    """sin x"""

    def forward(self, x):
        def backward(dy):
            dy * np.cos(x)

        return np.sin(x), backward


@dataclass(frozen=True)
class OneNumber(Activation):
    """The mean, which is one number"""

    def formula(self, x):
        return float(np.mean(x))


@dataclass(frozen=True)
class OfMath(Activation):
    """exp x, by the module math"""

    def formula(self, x):
        return math.exp(x)


@dataclass(frozen=True)
class Doubled(Activation):
    """x/2 in float64"""

    def forward(self, x):
        half = np.float64(0.5)
        return half * x, lambda dy: half * dy


@dataclass(frozen=True)
class OwnError(Activation):
    """x, with an error"""

    def forward(self, x):
        return {}["missing"]


ARRAY = r"expected an array of shape \(4, 5\) and type float32"


@pytest.mark.parametrize(
    ("cls", "text"),
    [
        (NoReturn, rf"NoReturn\.formula returned None; {ARRAY}; add a return statement"),
        (NoBackward, r"NoBackward\.forward returned an array .*; expected two values, the output "
         "and the backward function"),
        (NoReturnInBackward, rf"\.forward: the backward function returned None; {ARRAY}"),
        (OneNumber, rf"OneNumber\.formula returned float -?0\.\d+; {ARRAY}"),
        (OfMath, r"OfMath\.formula raised TypeError: .*\(test_component_checks.py, line \d+\); "
         r"functions of math take one number: use NumPy's, such as np\.exp"),
        (Doubled, rf"Doubled\.forward returned an array .* float64; {ARRAY}; float64 numbers and"),
        (OwnError, r"OwnError\.forward raised KeyError: 'missing' \(test_component_checks.py, "),
    ],
)  # fmt: skip
def test_an_activation_that_returns_something_else_is_named(tmp_path, cls, text):
    spec = document({"own": cls}, hidden("own"))
    where = r"^\$\.model\.layers\[0\]\.activation: nnreg-own 1\.0: "
    with pytest.raises(PluginError, match=where + ".*" + text):
        nnreg.run(spec, data=(X, Y), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    with pytest.raises(PluginError, match=text):
        nnreg.build(spec, data=(X, Y)).fit(X, Y)


@dataclass(frozen=True)
class WrongSquare(Activation):
    """x² with half of its gradient"""

    def forward(self, x):
        return x * x, lambda dy: dy * x


@dataclass(frozen=True)
class WrongLoss(Loss):
    """mean((y - t)²) with the gradient of the sum"""

    def forward(self, y, t):
        d = y - t
        return np.mean(d * d), lambda: 2 * d


@dataclass(frozen=True)
class Scaled(Layer):
    """y = weight · x"""

    def build(self, shape, builder):
        builder.param("weight", shape, Plain())
        return shape

    def forward(self, x, context):
        w = context.params["weight"]

        def backward(dy):
            return self.gradient(x, w, dy, context.gradients)

        return x * w, backward

    def gradient(self, x, w, dy, gradients):
        gradients["weight"][...] = (dy * x).sum(axis=0)
        return dy * w


@dataclass(frozen=True)
class WrongInput(Scaled):
    """y = weight · x without the factor in the gradient"""

    def gradient(self, x, w, dy, gradients):
        super().gradient(x, w, dy, gradients)
        return dy


@dataclass(frozen=True)
class WrongWeight(Scaled):
    """y = weight · x with a mean for a sum"""

    def gradient(self, x, w, dy, gradients):
        gradients["weight"][...] = (dy * x).mean(axis=0)
        return dy * w


@dataclass(frozen=True)
class Unwritten(Scaled):
    """y = weight · x without the gradient of the weight"""

    def gradient(self, x, w, dy, gradients):
        return dy * w


@dataclass(frozen=True)
class Noisy(Scaled):
    """y = weight · x · noise, with a counter of the passes"""

    def build(self, shape, builder):
        builder.buffer("count", (1,), Plain())
        return super().build(shape, builder)

    def forward(self, x, context):
        noise = 1.0
        if context.training:
            context.state["count"][...] += 1
            noise = context.rng.normal(size=x.shape).astype(x.dtype) * context.state["count"][0]
        y, backward = super().forward(x, context)

        def scaled(dy):
            return backward(dy * noise)

        return y * noise, scaled


def residual(layer):
    return [{"type": "residual", "layers": [layer]}]


@pytest.mark.parametrize(
    ("components", "layers", "sections", "text"),
    [
        ({"own": WrongSquare}, hidden("own"), {},
         r"layers\[0\]\.activation: .*: WrongSquare: the gradient is not that of its output: "),
        ({"own": WrongLoss}, [], {"loss": "own"}, r"\$\.loss: .*: WrongLoss: the gradient is not"),
        ({"own": WrongInput}, ["own"], {}, r"layers\[0\]: .*: WrongInput: the gradient of its "),
        ({"own": WrongWeight}, ["own"], {}, r": WrongWeight: the gradient of 'weight' is not that"),
        ({"own": WrongWeight}, residual("own"), {},
         r"layers\[0\]\.layers\[0\]: .*: WrongWeight: the gradient of 'weight' is not that"),
        ({"own": Unwritten}, ["own"], {}, r"did not write the gradient of 'weight'; expected "),
    ],
)  # fmt: skip
def test_a_wrong_gradient_is_refused_unless_it_is_not_checked(components, layers, sections, text):
    spec = document(components, layers, **sections)
    with pytest.raises(PluginError, match=text):
        nnreg.run(spec, data=(X, Y))
    model = nnreg.build(spec, data=(X, Y))
    with pytest.raises(PluginError, match=text):
        model.fit(X, Y)
    assert len(model.fit(X, Y, check=False)) == 2
    assert len(nnreg.run(spec, data=(X, Y), check=False).history) == 2


@dataclass(frozen=True)
class StraightThrough(Activation):
    """round x, with the gradient of x"""

    exact_gradient = False

    def forward(self, x):
        return np.round(x), lambda dy: dy


@dataclass(frozen=True)
class Rounded(Layer):
    """y = round x, by another component"""

    activation: Activation = StraightThrough()

    def forward(self, x, context):
        return self.activation.forward(x)


def test_a_component_may_declare_that_its_gradient_is_not_exact():
    own = {"own": StraightThrough, "rounded": Rounded}
    fit(own, hidden("own"))
    fit(own, [{"type": "rounded", "activation": "own"}])
    StraightThrough.exact_gradient = True
    try:
        with pytest.raises(PluginError, match="set exact_gradient = False in the class"):
            fit(own, hidden("own"))
    finally:
        StraightThrough.exact_gradient = False


@dataclass(frozen=True)
class Kinked(Activation):
    """max(x, 0), on which every value of a first layer of zeros lies at the kink"""

    def forward(self, x):
        return np.maximum(x, 0), lambda dy: dy * (x > 0)


@dataclass(frozen=True)
class Absolute(Loss):
    """mean |y - t|, whose gradient at 0 is 1"""

    def forward(self, y, t):
        d = y - t
        return np.mean(np.abs(d)), lambda: np.where(d >= 0, 1, -1).astype(y.dtype) / d.size


@dataclass(frozen=True)
class SinglePrecision(Activation):
    """tanh, computed in float32 whatever the input"""

    def forward(self, x):
        y = np.tanh(x.astype(np.float32))
        return y.astype(x.dtype), lambda dy: dy * (1 - y * y).astype(dy.dtype)


@dataclass(frozen=True)
class Rectifying(Layer):
    """max(x, 0) of zeros"""

    def forward(self, x, context):
        x = 0 * x
        return np.maximum(x, 0), lambda dy: 0 * dy


@pytest.mark.parametrize(
    ("components", "layers", "sections"),
    [
        ({"own": Kinked}, hidden("own"), {}),
        ({"own": Absolute}, [], {"loss": "own"}),
        ({"own": SinglePrecision}, hidden("own"), {}),
        ({"own": Scaled}, ["own"], {}),
        ({"own": Noisy}, ["own"], {}),
        ({"own": Rectifying}, ["own"], {}),
        ({"own": Scaled}, residual("own"), {}),
    ],
)
def test_right_gradients_are_accepted(components, layers, sections):
    fit(components, layers, **sections)


@dataclass(frozen=True)
class Returning(Optimizer):
    """A step that returns the new parameters"""

    def update(self, parameters, gradient, state):
        return parameters - self.learning_rate * gradient


def test_an_optimizer_that_changes_nothing_is_refused():
    text = r"\$\.optimizer: .*: Returning\.update returned an array .*, and did not change"
    with pytest.raises(PluginError, match=text):
        fit({"own": Returning}, optimizer="own")


@dataclass(frozen=True)
class Nothing(Metric):
    """no value"""

    def compute(self, y, t):
        pass


def test_a_metric_without_a_value_is_refused_before_anything_is_written(tmp_path):
    spec = document({"own": Nothing}, metrics=["own"])
    with pytest.raises(PluginError, match=r"\$\.metrics\[0\]: .*: Nothing\.compute returned None"):
        nnreg.run(spec, data=(X, Y), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_checks_change_no_bit_of_a_training():
    spec = document({"own": Noisy}, ["own"])
    tried, plain = (nnreg.run(spec, data=(X, Y), check=check) for check in (True, False))
    assert tried.network.vector.tobytes() == plain.network.vector.tobytes()
    assert tried.network.state_vector.tobytes() == plain.network.state_vector.tobytes()


def test_a_network_of_built_in_components_calls_no_check(monkeypatch):
    monkeypatch.setattr(component_checks, "check_activation", None)
    nnreg.run(document({"own": Kinked}, hidden("tanh")), data=(X, Y))
    with pytest.raises(TypeError):
        fit({"own": Kinked}, hidden("own"))


def test_a_model_is_checked_once(monkeypatch):
    counted = []
    check = component_checks.check_activation
    monkeypatch.setattr(component_checks, "check_activation",
                        lambda *a, **k: counted.append(check(*a, **k)))  # fmt: skip
    model = nnreg.build(document({"own": Kinked}, hidden("own")), data=(X, Y))
    for _ in range(3):
        model.fit(X, Y, epochs=1)
    assert len(counted) == 1


def test_at_a_kink_every_slope_between_both_sides_is_right():
    def total(x):
        return float(np.abs(x).sum())

    for slope in (-1, -0.5, 0, 1):
        assert not wrong_gradient(total, np.zeros(5), np.full(5, slope))
    found = wrong_gradient(total, np.zeros(5), np.full(5, 3.0))
    assert found.startswith("along a random direction it is ")
    assert wrong_gradient(total, np.ones(5), np.zeros(5))
    assert wrong_gradient(total, np.ones(5), np.full(5, np.nan))


def test_a_function_with_noise_or_without_a_value_cannot_be_tested():
    rng = np.random.default_rng(0)
    assert not wrong_gradient(lambda x: float(rng.normal()), np.ones(5), np.ones(5))
    assert not wrong_gradient(lambda x: float("nan"), np.ones(5), np.ones(5))
