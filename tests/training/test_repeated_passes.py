"""What an optimizer that is not elementwise gets: parameters by name, further passes, numbers.

None of it changes what a training without it does.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

import nnreg
from nnreg import Optimizer, PluginError
from nnreg.training import gradient
from tests.helpers.specs import blobs, classifier, line, regressor

pytestmark = pytest.mark.usefixtures("registering")

LAYERS = [
    {"type": "dense", "units": 6, "activation": "tanh"},
    {"type": "dropout", "rate": 0.3},
    {"type": "dense", "units": "classes", "activation": "softmax"},
]
NORMALIZED = [LAYERS[0], {"type": "batch_norm"}, *LAYERS[1:]]


@dataclass(frozen=True)
class Probe(Optimizer):
    """Gradient descent that calls `look` first."""

    look: ClassVar = staticmethod(lambda parameters, gradient, state: None)

    def update(self, parameters, gradient, state):
        type(self).look(parameters, gradient, state)
        np.subtract(parameters, self.learning_rate * gradient, out=parameters)


def spec(look=None, layers=LAYERS, freeze=(), **train):
    """Return a spec whose optimizer is a `Probe`."""
    cls = type("Probe", (Probe,), {"look": staticmethod(look or Probe.look)})
    nnreg.register("probe", dataclass(frozen=True)(cls))
    settings = {"epochs": 3, "batch_size": 16, "freeze": list(freeze), **train}
    model = {"layers": layers, "dtype": "float64"}
    return classifier(model=model, optimizer={"type": "probe"}, train=settings)


def trained(*args, data=None, **kwargs):
    model = nnreg.build(spec(*args, **kwargs), data=data or blobs())
    model.fit(*(data or blobs()), check=False)
    return model


def in_parts(monkeypatch):
    """Let each pass have few examples, whose gradients are added."""
    monkeypatch.setattr(gradient, "microbatch_size", lambda *_: 3)


CASES = {
    "plain": {},
    "running statistics": {"layers": NORMALIZED, "batch_size": 20},
    "mixtures of rows": {"augment": "mixup", "batch_size": 20},
    "frozen": {"layers": NORMALIZED, "freeze": ["layers/0"], "batch_size": 20},
    "frozen in the middle": {"layers": [LAYERS[0], *LAYERS], "freeze": ["layers/1"]},
    "accumulated": {"accumulate": 2},
    "penalties and clipping": {"l1": 0.01, "l2": 0.02, "clip_norm": 0.1, "clip_value": 0.05},
    "divided": {"threads": 2, "shards": 2, "batch_size": 30},
    "divided, with running statistics": {
        "layers": NORMALIZED,
        "threads": 2,
        "shards": 2,
        "batch_size": 30,
    },
    "in parts": {"change": in_parts},
    "in parts, divided and accumulated": {
        "threads": 2,
        "shards": 2,
        "accumulate": 2,
        "change": in_parts,
    },
}


@pytest.fixture(params=CASES.values(), ids=CASES)
def case(request, monkeypatch):
    options = dict(request.param)
    options.pop("change", lambda _: None)(monkeypatch)
    return options


def test_the_cases_are_what_they_say(monkeypatch):
    for change, count, size in ((lambda patch: None, 2, None), (in_parts, 1, 3)):
        with monkeypatch.context() as patch:
            change(patch)
            options = spec(shards=count, batch_size=30)
            model = nnreg.build(options, data=blobs())
            shards = model.trainer(model.examples(*blobs()), check=False)._shards
            assert shards.count == count
            assert [worker._microbatch_size for worker in shards] == [size] * count


def test_another_pass_at_the_same_weights_is_bit_identical(case):
    seen = []

    def look(parameters, gradient, state):
        before = gradient.copy()
        first, second = state.evaluate(), state.evaluate()
        assert first[0] == second[0]
        for found in (first[1], second[1], gradient):
            assert found.tobytes() == before.tobytes()
        seen.append(first[0])

    trained(look, **case)
    assert len(seen) == len(set(seen)) > 3


def test_training_is_bit_identical_with_further_passes_at_other_weights(case):
    def look(parameters, gradient, state):
        kept = parameters.copy()
        np.subtract(parameters, 0.5 * gradient, out=parameters)
        _, found = state.evaluate()
        assert not np.array_equal(found, gradient)
        np.copyto(parameters, kept)

    plain, found = trained(**case), trained(look, **case)
    assert found.network.vector.tobytes() == plain.network.vector.tobytes()
    assert found.network.state_vector.tobytes() == plain.network.state_vector.tobytes()
    assert found.history["loss"].tolist() == plain.history["loss"].tolist()


def test_the_loss_is_that_of_the_moved_weights_with_penalties():
    x, y = line()
    losses = []

    def look(parameters, gradient, state):
        kept = parameters.copy()
        for k in range(len(parameters)):
            pair = []
            for step in (1e-5, -1e-5):
                parameters[k] = kept[k] + step
                pair.append(state.evaluate()[0])
            parameters[k] = kept[k]
            losses.append((pair[0] - pair[1]) / 2e-5 - gradient[k])

    changed = spec(look)
    train = {"epochs": 2, "batch_size": 16, "l1": 0.1, "l2": 0.2}
    model = nnreg.build(regressor(optimizer=changed["optimizer"], train=train), data=(x, y))
    model.fit(x, y, check=False)
    assert len(losses) == 18
    np.testing.assert_allclose(losses, 0, atol=1e-8)


def test_a_loss_that_is_not_finite_is_returned_and_training_goes_on():
    def look(parameters, gradient, state):
        kept = parameters.copy()
        np.multiply(parameters, 1e200, out=parameters)
        assert not np.isfinite(state.evaluate()[0])
        np.copyto(parameters, kept)

    relu = [{"type": "dense", "units": 6, "activation": "relu"}, LAYERS[-1]]
    for accumulate in (1, 2):
        plain = trained(layers=relu, accumulate=accumulate)
        found = trained(look, layers=relu, accumulate=accumulate)
        assert found.network.vector.tobytes() == plain.network.vector.tobytes()


def test_each_yields_the_trained_parameters_by_name_and_shape(case):
    names = []

    def look(parameters, gradient, state):
        names[:] = []
        parts = []
        for name, p, g in state.each(parameters, gradient):
            assert p.shape == g.shape
            assert np.shares_memory(p, parameters)
            names.append((name, p.shape))
            parts.append(p.ravel())
        np.testing.assert_array_equal(np.concatenate(parts), parameters)

    model = trained(look, **case)
    shapes = {name: array.shape for name, array in model.parameters.items()}
    expected = [pair for pair in shapes.items() if pair[0] not in model.network.frozen]
    assert names == expected


def test_writing_into_a_view_changes_that_parameter():
    def look(parameters, gradient, state):
        for name, p in state.each(parameters):
            if name.endswith("bias"):
                p[...] = 7

    model = trained(look, freeze=["layers/0"])
    assert np.all(np.abs(model.parameters["layers/2/bias"] - 7) < 0.1)
    assert not np.any(model.parameters["layers/0/bias"] == 7)


def test_vectors_of_another_length_are_refused():
    def look(parameters, gradient, state):
        list(state.each(parameters[:-1]))

    with pytest.raises(PluginError, match="each needs vectors of all trained parameters"):
        trained(look)


def noisy(parameters, gradient, state):
    assert state.rng is state.rng
    np.add(parameters, 0.01 * state.rng.normal(size=parameters.shape), out=parameters)


def test_random_numbers_differ_between_steps_and_seeds_and_repeat_with_each_run():
    drawn = []
    trained(lambda p, g, state: drawn.append(float(state.rng.normal())))
    assert len(set(drawn)) == len(drawn) == 12
    runs = [trained(noisy).network.vector.tobytes() for _ in range(2)]
    assert runs[0] == runs[1]
    again = list(drawn)
    drawn.clear()
    other = {**spec(lambda p, g, state: drawn.append(float(state.rng.normal()))), "seed": 1}
    nnreg.build(other, data=blobs()).fit(*blobs(), check=False)
    assert not set(drawn) & set(again)


def test_a_training_with_random_numbers_and_further_passes_resumes_bit_identically(tmp_path):
    def look(parameters, gradient, state):
        noisy(parameters, gradient, state)
        np.subtract(parameters, 0.1 * state.evaluate()[1], out=parameters)

    whole = trained(look, layers=NORMALIZED, batch_size=20)
    for stop in (1, 4, 7):
        model = nnreg.build(spec(look, layers=NORMALIZED, batch_size=20), data=blobs())
        steps = model.trainer(model.examples(*blobs()), check=False).iterate(lambda: True)
        for _ in range(stop):
            next(steps)
        steps.close()
        nnreg.save(model, tmp_path / "a.h5")
        loaded = nnreg.load(tmp_path / "a.h5")
        loaded.fit(*blobs(), check=False)
        assert loaded.network.vector.tobytes() == whole.network.vector.tobytes()
        assert loaded.network.state_vector.tobytes() == whole.network.state_vector.tobytes()


@pytest.mark.parametrize(
    "use",
    [
        lambda p, g, state: next(iter(state.each(p))),
        lambda p, g, state: state.evaluate(),
        lambda p, g, state: state.rng,
    ],
    ids=["each", "evaluate", "rng"],
)
def test_an_elementwise_optimizer_that_uses_them_is_refused_before_training(use):
    tree = spec(use)
    cls = type("Chunked", (Probe,), {"look": staticmethod(use), "elementwise": True})
    nnreg.register("chunked", dataclass(frozen=True)(cls))
    tree["optimizer"] = {"type": "chunked"}
    model = nnreg.build(tree, data=blobs())
    before = model.network.vector.copy()
    with pytest.raises(PluginError, match=r"optimizer.*chunks instead: set it to False"):
        model.fit(*blobs())
    np.testing.assert_array_equal(model.network.vector, before)


def test_the_examples_of_a_step_are_released_after_it():
    model = trained(lambda p, g, state: state.evaluate())
    trainer = model.trainer(model.examples(*blobs()), epochs=1, check=False)
    list(trainer.epochs())
    assert trainer._training_step._replay._examples is None
