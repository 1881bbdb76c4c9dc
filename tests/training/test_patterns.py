"""Regularizers, constraints and learning rates of parameters whose names match a pattern."""

import json
from dataclasses import dataclass

import numpy as np
import pytest

import nnreg
from nnreg import Constraint, Layer, NnregError, PluginError, Regularizer, SpecError
from nnreg.builtin.initializers import Ones
from nnreg.training.patterns import by_parameter
from tests.helpers.specs import blobs, classifier

pytestmark = pytest.mark.usefixtures("registering")

LAYERS = [
    {"type": "dense", "units": 6, "activation": "tanh"},
    {"type": "residual", "layers": [{"type": "dense", "units": 6}]},
    {"type": "dense", "units": "classes", "activation": "softmax"},
]
NAMES = ["layers/0/weight", "layers/1/layers/0/weight", "layers/1/layers/0/bias", "layers/2/bias"]


def spec(layers=LAYERS, optimizer="adam", **train):
    settings = {"epochs": 2, "batch_size": 16, **train}
    model = {"layers": layers, "dtype": "float64"}
    return classifier(model=model, optimizer=optimizer, train=settings)


def build(*args, **train):
    return nnreg.build(spec(*args, **train), data=blobs())


def trained(*args, **train):
    model = build(*args, **train)
    model.fit(*blobs())
    return model


def bits(model):
    return model.network.vector.tobytes()


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        ({"*": 1}, dict.fromkeys(NAMES, 1)),
        ({"layers/0/weight": 1}, {NAMES[0]: 1}),
        ({"layers/?/weight": 1}, {NAMES[0]: 1}),
        ({"*weight": 1, "layers/1/*": 2}, {NAMES[0]: 1, NAMES[1]: 2, NAMES[2]: 2}),
        ({"layers/1/*": 2, "*weight": 1}, {NAMES[0]: 1, NAMES[1]: 1, NAMES[2]: 2}),
        ({"Layers/*": 1}, {}),
        ({}, {}),
    ],
)
def test_the_last_pattern_that_matches_a_name_gives_its_value(patterns, expected):
    assert by_parameter(patterns, NAMES) == expected


@pytest.mark.parametrize(("key", "component"), [("l1", "l1"), ("l2", "l2")])
def test_a_regularizer_of_the_weights_equals_the_setting_for_all(key, component):
    by_name = {"*weight": {"type": component, "factor": 0.05}}
    assert bits(trained(regularize=by_name)) == bits(trained(**{key: 0.05}))


def test_null_exempts_from_an_earlier_pattern():
    some = {"layers/0/weight": "l2", "layers/2/weight": "l2"}
    found = {"*weight": "l2", "layers/1/*": None}
    assert bits(trained(regularize=found)) == bits(trained(regularize=some))
    assert bits(trained(regularize={"*": "l2", "*s/*": None})) == bits(trained())


def test_a_penalty_is_not_part_of_the_reported_loss():
    options = {"epochs": 1, "batch_size": 60}
    plain, found = trained(**options), trained(regularize={"*": "l1_l2"}, **options)
    assert found.history["loss"].tolist() == plain.history["loss"].tolist()
    assert bits(found) != bits(plain)


def test_constraints_hold_after_each_step_and_leave_others_alone():
    constrain = {"*weight": {"type": "max_norm", "max_value": 0.5}, "layers/2/*": "non_negative"}
    model = build(constrain=constrain)
    for _ in model.trainer(model.examples(*blobs())).iterate(lambda: True):
        for name in ("layers/0/weight", "layers/1/layers/0/weight"):
            norms = np.linalg.norm(model.parameters[name], axis=0)
            assert np.all(norms <= 0.5 + 1e-12)
        for name in ("layers/2/weight", "layers/2/bias"):
            assert np.all(model.parameters[name] >= 0)
    assert np.min(model.parameters["layers/0/bias"]) < 0


def test_a_third_partys_layer_is_matched_as_a_built_in_one_is():
    @dataclass(frozen=True)
    class Scale(Layer):
        def build(self, shape, builder):
            builder.param("gain", shape, Ones())
            return shape

        def forward(self, x, context):
            gain = context.params["gain"]

            def backward(dy):
                context.gradients["gain"][...] = np.sum(dy * x, axis=0)
                return dy * gain

            return x * gain, backward

    nnreg.register("scale", Scale)
    model = trained([{"type": "scale"}, *LAYERS], constrain={"*/gain": "unit_norm"})
    assert np.linalg.norm(model.parameters["layers/0/gain"]) == pytest.approx(1, rel=1e-12)


def test_components_of_plugins_work_and_are_recorded(tmp_path):
    @dataclass(frozen=True)
    class Square(Regularizer):
        def forward(self, w):
            return float(np.sum(w * w)), lambda: 2 * w

    @dataclass(frozen=True)
    class Halves(Constraint):
        def project(self, w):
            return np.clip(w, -0.5, 0.5)

    nnreg.register("square", Square)
    nnreg.register("halves", Halves)
    model = trained(regularize={"*": "square"}, constrain={"*bias": "halves"})
    assert bits(model) == bits(
        trained(regularize={"*": {"type": "l2", "factor": 1}}, constrain={"*bias": "halves"})
    )
    nnreg.save(model, tmp_path / "a.h5")
    loaded = nnreg.load(tmp_path / "a.h5")
    named = {(one["kind"], one["name"]): one for one in loaded.components}
    assert named["regularizer", "square"]["probes"]["$.train.regularize.*"]["gradient"]
    assert named["constraint", "halves"]["probes"]["$.train.constrain.*bias"]["values"]


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (lambda w: None, "Wrong.forward returned None"),
        (lambda w: (-1.0, lambda: 0 * w), "the penalty -1.0; expected a number >= 0"),
        (lambda w: (0.0, lambda: w[:1]), "expected an array of shape"),
        (lambda w: (float(np.sum(w * w)), lambda: w), "the gradient is not that of its output"),
    ],
)
def test_a_wrong_regularizer_is_refused_before_training(returned, message):
    cls = type("Wrong", (Regularizer,), {"forward": lambda self, w: returned(w)})
    nnreg.register("wrong", dataclass(frozen=True)(cls))
    model = build(regularize={"*": "wrong"})
    before = bits(model)
    with pytest.raises(PluginError, match=message):
        model.fit(*blobs())
    assert bits(model) == before


def test_a_wrong_constraint_is_refused_before_training():
    cls = type("Wrong", (Constraint,), {"project": lambda self, w: w[:1]})
    nnreg.register("wrong", dataclass(frozen=True)(cls))
    with pytest.raises(PluginError, match=r"Wrong.project returned"):
        build(constrain={"*": "wrong"}).fit(*blobs())


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "rmsprop"])
def test_a_factor_of_the_learning_rate_equals_another_rate(optimizer):
    rate = {"type": optimizer, "learning_rate": 0.02}
    model = trained(optimizer=rate, learning_rates={"*": 0.5}, weight_decay=0.1)
    assert bits(model) == bits(
        trained(optimizer={"type": optimizer, "learning_rate": 0.01}, weight_decay=0.1)
    )


def test_factors_apply_to_their_parameters_alone():
    start = build(epochs=1, batch_size=60).network.vector.copy()
    plain = trained(epochs=1, batch_size=60).network
    rates = {"*": 3, "layers/1/*": 0.5, "*/bias": 1}
    found = trained(epochs=1, batch_size=60, learning_rates=rates).network
    changes = [network.with_values(network.vector - start, network.state_vector).parameters
               for network in (plain, found)]  # fmt: skip
    factors = {"layers/0/weight": 3, "layers/1/layers/0/weight": 0.5, "layers/2/bias": 1}
    for name, factor in factors.items():
        np.testing.assert_allclose(changes[1][name], factor * changes[0][name], rtol=1e-12)


def test_factors_follow_the_schedule_and_frozen_layers_are_left_out():
    rates = {"layers/0/*": 0.1, "*bias": 2}
    options = {"learning_rates": rates, "freeze": ["layers/1"], "regularize": {"*": "l2"}}
    found = build(**options, constrain={"layers/1/*": "non_negative"})
    frozen = found.parameters["layers/1/layers/0/weight"].copy()
    found.fit(*blobs())
    np.testing.assert_array_equal(found.parameters["layers/1/layers/0/weight"], frozen)
    tree = {**spec(**options), "schedule": {"type": "cosine"}}
    model = nnreg.build(tree, data=blobs())
    model.fit(*blobs())
    assert model.history[-1]["learning_rate"] < 0.001


@pytest.mark.parametrize(
    ("train", "message"),
    [
        (
            {"regularize": {"layers/*/wieght": "l2"}},
            r"no parameter matches 'layers/\*/wieght'; did you mean 'layers/0/weight'",
        ),
        ({"constrain": {"zz": "unit_norm"}}, r"matches 'zz'; the parameters are layers/0/weight, "),
        ({"learning_rates": {"layers/9/*": 2}}, r"\$\.train\.learning_rates\.layers/9/\*: no para"),
        ({"learning_rates": {"*": 0}}, "greater than 0"),
        ({"regularize": {"*": "orthogonl"}}, "did you mean 'orthogonal'"),
        (
            {"regularize": {"*": "orthogonal"}},
            r"Orthogonal does not fit 'layers/0/bias' of shape \(6,\): it takes a matrix; exclude",
        ),
        (
            {"constrain": {"*": {"type": "max_norm", "axes": [1]}}},
            "MaxNorm does not fit 'layers/0/bias'",
        ),
        ({"constrain": {"*": {"type": "min_max_norm", "min_value": 2}}}, "'min_value' is larger"),
    ],
)
def test_patterns_and_components_that_do_not_fit_are_refused(train, message):
    with pytest.raises(SpecError, match=message):
        build(**train)


def test_an_error_is_at_the_line_of_the_pattern(tmp_path):
    file = tmp_path / "spec.json"
    file.write_text(json.dumps(spec(regularize={"*weight": "l2", "nothing": "l2"}), indent=1))
    line = next(n for n, text in enumerate(file.read_text().split("\n"), 1) if "nothing" in text)
    with pytest.raises(SpecError, match=rf"spec\.json:{line}:4: .*no parameter matches"):
        nnreg.build(file, data=blobs())


def test_what_an_optimizer_cannot_follow_is_refused():
    with pytest.raises(SpecError, match="the optimizer updates all parameters at once, with one"):
        build(optimizer="sam", learning_rates={"*": 2})
    with pytest.raises(SpecError, match=r"the optimizer has weights of its own .* not be const"):
        build(optimizer="schedule_free_adamw", constrain={"*": "unit_norm"})
    build(optimizer="sam", constrain={"*": "unit_norm"}, regularize={"*": "l2"}).fit(*blobs())


def test_they_resume_bit_identically_and_may_change_on_resuming(tmp_path):
    options = {
        "regularize": {"*weight": "l2", "layers/0/*": "l1"},
        "constrain": {"layers/2/*": "max_norm"},
        "learning_rates": {"*bias": 2},
    }
    whole = trained(epochs=4, **options)
    model = build(epochs=4, **options)
    model.fit(*blobs(), epochs=2)
    nnreg.save(model, tmp_path / "a.h5")
    loaded = nnreg.load(tmp_path / "a.h5")
    loaded.fit(*blobs())
    assert bits(loaded) == bits(whole)
    overrides = ['train.regularize={"*": "l1"}', "train.constrain=null", "train.learning_rates={}"]
    with pytest.raises(NnregError):
        nnreg.load(tmp_path / "a.h5", overrides)
    overrides = ['train.regularize={"*": "l1"}', "train.learning_rates={}"]
    changed = nnreg.load(tmp_path / "a.h5", overrides)
    changed.fit(*blobs())
    assert bits(changed) != bits(whole)
    wrong = nnreg.load(tmp_path / "a.h5", ['train.regularize={"nothing": "l1"}'])
    with pytest.raises(SpecError, match="no parameter matches 'nothing'"):
        wrong.fit(*blobs())


def test_the_order_of_patterns_survives_a_checkpoint(tmp_path):
    for patterns in ({"*": "l1", "layers/0/*": "l2"}, {"layers/0/*": "l2", "*": "l1"}):
        nnreg.save(build(regularize=patterns), tmp_path / "a.h5")
        assert list(nnreg.load(tmp_path / "a.h5").spec.train.regularize) == list(patterns)
