"""Optimizer updates in several threads are bit-identical, and weight decay."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nnreg
from nnreg._utils.threads import ThreadPool, split_evenly
from nnreg.builtin.optimizers import Adam
from nnreg.interfaces import Optimizer
from nnreg.training import update
from tests.helpers.specs import line, regressor


class _NotElementwise(Optimizer):
    """An optimizer that is not declared elementwise."""


def trained(monkeypatch, threads, chunk):
    monkeypatch.setattr(update, "CHUNK_VALUES", chunk)
    monkeypatch.setattr(update, "MIN_VALUES_PER_THREAD", 4 * chunk)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(64, 9)), rng.normal(size=64)
    layers = [{"type": "dense", "units": 30}, {"type": "dense", "units": 1}]
    spec = {
        "model": {"layers": layers},
        "loss": "mean_squared_error",
        "optimizer": "adam",
        "train": {"epochs": 3, "threads": threads, "l2": 0.1, "clip_norm": 1.0},
    }
    model = nnreg.build(spec, data=(x, y))
    trainer = model.trainer(model.examples(x, y))
    list(trainer.epochs())
    return trainer, model.network.vector


def test_results_are_bit_identical_for_any_chunk_size_and_number_of_threads(monkeypatch):
    _, expected = trained(monkeypatch, 1, 10**6)
    for threads, chunk in ((1, 7), (2, 7), (3, 20)):
        trainer, found = trained(monkeypatch, threads, chunk)
        assert len(trainer._training_step.optimizer._partitions) == threads
        assert found.tobytes() == expected.tobytes()


def test_only_large_updates_of_elementwise_optimizers_use_several_threads():
    assert update.update_threads(Adam(), 3 * update.MIN_VALUES_PER_THREAD, 2) == 2
    assert update.update_threads(Adam(), 3 * update.MIN_VALUES_PER_THREAD, 8) == 3
    assert update.update_threads(Adam(), update.MIN_VALUES_PER_THREAD - 1, 8) == 1
    assert update.update_threads(_NotElementwise(), 3 * update.MIN_VALUES_PER_THREAD, 2) == 1


@pytest.mark.parametrize(("size", "count"), [(0, 3), (2, 3), (10, 3), (7, 1)])
def test_split_evenly_covers_every_value_once(size, count):
    values = np.arange(size)
    parts = [values[chunk] for chunk in split_evenly(size, count)]
    assert len(parts) == count
    np.testing.assert_array_equal(np.concatenate(parts), values)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_thread_pool_returns_results_in_order_open_or_closed():
    pool = ThreadPool(3)
    jobs = [lambda k=k: k for k in range(3)]
    assert pool.run(jobs) == [0, 1, 2]
    with pool.open():
        assert pool.run(jobs) == [0, 1, 2]
        with pytest.raises(ZeroDivisionError):
            pool.run([lambda: 0, lambda: 1 / 0])
    assert pool.run(jobs) == [0, 1, 2]


def one_step(**changes):
    """Return the weights and biases before and after one step on a line."""
    x, y = line()
    train = {"epochs": 1, "batch_size": 40, **changes.pop("train", {})}
    model = nnreg.build(regressor(train=train, **changes), data=(x, y))
    model.parameters["layers/0/bias"][...] = 0.5
    before = {name.split("/")[-1]: array.copy() for name, array in model.parameters.items()}
    model.fit(x, y)
    return before, {name.split("/")[-1]: array for name, array in model.parameters.items()}


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
def test_weight_decay_shrinks_the_weights_and_not_the_biases(optimizer):
    settings = {"optimizer": {"type": optimizer, "learning_rate": 0.1}}
    before, plain = one_step(**settings)
    _, decayed = one_step(train={"weight_decay": 0.2}, **settings)
    np.testing.assert_allclose(plain["weight"] - decayed["weight"], 0.02 * before["weight"])
    assert plain["bias"].tobytes() == decayed["bias"].tobytes()


def test_weight_decay_follows_the_schedule():
    half = {"type": "warmup", "start": 0.5}
    before, plain = one_step(schedule=half)
    _, decayed = one_step(schedule=half, train={"weight_decay": 0.2})
    np.testing.assert_allclose(plain["weight"] - decayed["weight"], 0.01 * before["weight"])


def test_weight_decay_with_adam_is_adamw():
    layers = [{"type": "dense", "units": 1, "bias": False}]
    model = {"layers": layers, "dtype": "float64"}
    adamw = {"type": "adamw", "learning_rate": 0.05, "weight_decay": 0.2}
    adam = {"type": "adam", "learning_rate": 0.05}
    train = {"epochs": 5}
    found = []
    for settings in ({"optimizer": adamw}, {"optimizer": adam, "weight_decay": 0.2}):
        options = {**train, "weight_decay": settings.get("weight_decay", 0)}
        spec = regressor(model=model, optimizer=settings["optimizer"], train=options)
        found.append(nnreg.build(spec, data=line()))
        found[-1].fit(*line())
    assert found[0].network.vector.tobytes() == found[1].network.vector.tobytes()


@given(st.lists(st.integers(1, 30), max_size=9), st.integers(1, 4))
def test_chunks_are_partitioned_in_order_and_evenly(lengths, count):
    ends = np.cumsum([0, *lengths])
    chunks = [slice(int(a), int(b)) for a, b in pairwise(ends)]
    parts = update._partition(chunks, count)
    assert len(parts) == count
    assert [chunk for part in parts for chunk in part] == chunks
    sizes = [sum(chunk.stop - chunk.start for chunk in part) for part in parts]
    assert max(sizes) <= sum(lengths) / count + max(lengths, default=0)


def test_each_update_gets_the_same_chunks_on_any_number_of_threads(monkeypatch):
    """Compiled loops may round the last values of an array in another way than the others."""
    given, adam = [], Adam.update

    def recorded(self, parameters, gradient, state):
        given.append((len(parameters), float(gradient[0])))
        adam(self, parameters, gradient, state)

    monkeypatch.setattr(Adam, "update", recorded)
    found = []
    for threads in (1, 2, 3):
        given.clear()
        trained(monkeypatch, threads, 20)
        found.append(sorted(given))
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("largest", [1e-30, 1.0, 1e19, 3e38])
@pytest.mark.parametrize("limit", [1e-35, 1e-12, 0.5])
def test_a_gradient_of_any_size_is_clipped_to_its_direction(largest, limit):
    gradient = (largest * np.array([1.0, -0.5, 0.25, 1.0])).astype(np.float32)
    expected = gradient.astype(np.float64)
    length = math.hypot(*expected)
    expected *= min(limit / length, 1)
    with np.errstate(over="ignore"):
        update.clip(gradient, limit, None)
    np.testing.assert_allclose(gradient, expected, rtol=1e-6)
