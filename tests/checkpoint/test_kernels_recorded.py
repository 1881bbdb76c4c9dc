"""A checkpoint records the kernels of a plugin, and detects kernels that compute something else."""

import inspect
import json
from dataclasses import dataclass, replace

import numpy as np
import pytest

import nnreg
from nnreg import CheckpointError, Kernels, MissingPluginError, builtin, hookimpl
from nnreg.checkpoint.file_format import read_checkpoint
from nnreg.checkpoint.save_load import from_file_content, load
from nnreg.provenance.kernel_outputs import OUTPUTS
from nnreg.registry.registry import Registry
from nnreg.spec.document import read_spec
from tests.helpers.specs import classifier

CHAINS = {"chain_steps", "threaded_chain_steps", "chain_outputs"}
"""The methods that NumPy's kernels do not have, for chains of dense layers."""

ABOUT = {"has_threaded_steps", "cblas"}
"""The methods that compute nothing."""

METHODS = [
    name
    for name, _ in inspect.getmembers(Kernels, inspect.isfunction)
    if name[0] != "_" and name not in CHAINS | ABOUT
]


def kernels(changed=""):
    """Return kernels of which one method writes 1.01 times what NumPy's does."""

    def method(self, *arguments, **options):
        arrays = [one for one in arguments if isinstance(one, np.ndarray)]
        before = [one.copy() for one in arrays]
        returned = getattr(Kernels, changed)(self, *arguments, **options)
        for array, old in zip(arrays, before, strict=True):
            if array.dtype.kind == "f" and not np.array_equal(array, old):
                array *= 1.01
        return returned

    members = {changed: method} if changed else {}
    return dataclass(frozen=True)(type("Fast", (Kernels,), members))


CALLED = {
    "rmsprop": ["rms_prop"],
    "momentum": ["momentum"],
    "lstm": ["lstm_steps", "lstm_steps_backward", "steps_gradient"],
    "tokens": ["layer_norm", "layer_norm_backward", "softmax", "softmax_backward", "sum_by_index"],
    "means": ["mean_by_index", "mean_by_index_backward"],
    "images": METHODS,
}
"""The networks of which one calls each method."""


def registry(cls=None, version="1.0", name="nnreg-fast"):
    """Return the built-ins, and a plugin with these kernels."""
    found = Registry()
    found.add_plugin("nnreg", builtin, "nnreg", "0.1.0")
    if cls is not None:

        class Plugin:
            @hookimpl
            def nnreg_kernels(self):
                return {"fast": cls}

        assert not found.add_plugin(name, Plugin(), name, version).why
    return found


LAYERS = {
    "lstm": [{"type": "lstm", "units": 2}],
    "images": [
        {"type": "conv2d", "filters": 4, "kernel": 2, "activation": "relu"},
        {"type": "max_pool2d", "size": 1},
        {"type": "conv2d", "filters": 2, "kernel": 2},
        {"type": "batch_norm"},
        {"type": "activation", "activation": "silu"},
        {"type": "max_pool2d", "size": 2},
        {"type": "flatten"},
    ],
    "rmsprop": [],
    "momentum": [],
    "tokens": [
        {"type": "embedding", "vocabulary": 4, "units": 3},
        {"type": "multi_head_attention", "heads": 1},
        {"type": "layer_norm"},
        {"type": "flatten"},
    ],
    "means": [{"type": "embedding", "vocabulary": 4, "units": 3}, {"type": "global_average_pool"}],
}
OPTIMIZERS = {"rmsprop": "rmsprop", "momentum": {"type": "sgd", "momentum": 0.5}}
SHAPES = {
    "rmsprop": (12, 2),
    "momentum": (12, 2),
    "lstm": (12, 3, 2),
    "images": (12, 4, 4, 1),
    "tokens": (12, 3),
    "means": (12, 3),
}


def model(with_these, network="images", dtype="float32", **train):
    """Return a model with these kernels; together, the networks use all of their methods."""
    spec = classifier(train={"epochs": 1, **train})
    last = spec["model"]["layers"][-1]
    spec["model"] = {"layers": [*LAYERS[network], last], "dtype": dtype}
    spec["optimizer"] = OPTIMIZERS.get(network, spec["optimizer"])
    x = np.arange(np.prod(SHAPES[network])).reshape(SHAPES[network]) % 4
    if network not in ("tokens", "means"):
        x = x * 1.5
    y = ["a", "b"] * 6
    return nnreg.build(read_spec(spec, registry=with_these), data=(x, y))


def record_of(model):
    (record,) = (c for c in model.components if c["kind"] == "kernels")
    return record


def called(network):
    """Return the methods of kernels in the record of a model."""
    return list(record_of(model(registry(kernels()), network))["probes"]["$.train.kernels"])


@pytest.fixture
def saved(tmp_path):
    """Save a model whose spec does not name the kernels; return the file."""
    nnreg.save(model(registry(kernels())), tmp_path / "m.h5")
    return tmp_path / "m.h5"


def records(path):
    return [c for c in read_checkpoint(path).document["components"] if c["kind"] == "kernels"]


def test_every_method_of_kernels_can_be_in_their_fingerprint():
    assert OUTPUTS.keys() == {*METHODS, *CHAINS}
    assert {method for network in LAYERS for method in called(network)} == set(METHODS)


def test_only_methods_that_the_network_calls_are_run_when_saving_and_loading(tmp_path):
    run = []

    @dataclass(frozen=True)
    class Traced(Kernels):
        def __getattribute__(self, name):
            run.append(name)
            return super().__getattribute__(name)

    nnreg.save(model(registry(Traced), "lstm"), tmp_path / "m.h5")
    load(tmp_path / "m.h5", registry=registry(Traced))
    assert set(run) & set(METHODS) == set(called("lstm"))
    assert {"lstm_steps", "adam"} < set(run)
    assert "im2col" not in run


def chain_steps(self, chain, training, arrays):
    def run(order, draws, rates, count, losses, scores):
        arrays.parameters[:] *= self.factor
        return len(losses)

    return run


def chain_outputs(self, chain, parameters):
    return lambda x: np.full((len(x), chain.units), self.factor * parameters[0])


@pytest.mark.parametrize("method", [chain_steps, chain_outputs])
def test_another_function_for_a_chain_is_detected(method, tmp_path):
    def with_factor(factor):
        fast = type("Fast", (Kernels,), {method.__name__: method, "factor": factor})
        return registry(dataclass(frozen=True)(fast))

    def chain_model(kernels):
        spec = classifier()
        del spec["model"]["layers"][1]
        return nnreg.build(
            read_spec(spec, registry=kernels), data=(np.ones((12, 2)), ["a", "b"] * 6)
        )

    nnreg.save(chain_model(with_factor(0.5)), tmp_path / "m.h5")
    load(tmp_path / "m.h5", registry=with_factor(0.5))
    with pytest.raises(
        CheckpointError, match=f"changed under the same version: .*{method.__name__}"
    ):
        load(tmp_path / "m.h5", registry=with_factor(0.4))


def test_the_methods_have_one_order_in_every_process():
    assert called("tokens") == [name for name in OUTPUTS if name in called("tokens")]


def test_kernels_that_the_spec_does_not_name_are_recorded(saved):
    (record,) = records(saved)
    assert record["default"] is True
    assert [record[key] for key in ("name", "distribution", "version")] == [
        "fast",
        "nnreg-fast",
        "1.0",
    ]
    (numbers,) = record["probes"].values()
    assert {"convolve", "relu_backward", "softmax_cross_entropy", "adam"} < numbers.keys()
    assert len(json.dumps(record)) < 3500


def test_kernels_that_the_spec_names_are_recorded_like_other_components(tmp_path):
    nnreg.save(model(registry(kernels()), kernels="fast"), tmp_path / "m.h5")
    (record,) = records(tmp_path / "m.h5")
    assert "default" not in record
    assert record["probes"]
    with pytest.raises(MissingPluginError, match=r"the kernels 'fast' of nnreg-fast 1\.0"):
        load(tmp_path / "m.h5", registry=registry())


def test_no_kernels_are_recorded_without_a_plugin_that_has_some(tmp_path):
    nnreg.save(model(registry()), tmp_path / "m.h5")
    assert records(tmp_path / "m.h5") == []


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("method", METHODS)
def test_each_method_that_changed_under_the_same_version_is_detected(tmp_path, method, dtype):
    network = next(name for name, methods in CALLED.items() if method in methods)
    before, after = registry(kernels()), registry(kernels(method))
    nnreg.save(model(before, network, dtype), tmp_path / "m.h5")
    load(tmp_path / "m.h5", registry=before)
    with pytest.raises(CheckpointError) as caught:
        load(tmp_path / "m.h5", registry=after)
    (line,) = str(caught.value).splitlines()[1:-1]
    assert line.startswith("  kernels 'fast' of nnreg-fast 1.0, changed under the same version: ")
    assert "(at $.train.kernels)" in line
    load(tmp_path / "m.h5", registry=after, allow_changed=True)


def test_a_file_loads_without_the_kernels_that_its_spec_does_not_name(saved):
    x = np.ones((2, 4, 4, 1))
    expected = load(saved, registry=registry(kernels())).predict(x)
    assert np.array_equal(load(saved, registry=registry()).predict(x), expected)
    other = load(saved, registry=registry(kernels(), "3.0", "nnreg-other"))
    assert record_of(other)["distribution"] == "nnreg-other"


def test_what_wrong_kernels_trained_is_detected_without_them(tmp_path):
    nnreg.save(model(registry(kernels("softmax")), "tokens"), tmp_path / "m.h5")
    with pytest.raises(CheckpointError, match=r"nnreg 0\.1\.0, saved with nnreg-fast 1\.0: its so"):
        load(tmp_path / "m.h5", registry=registry())


def test_a_file_of_an_older_version_without_the_record_loads(saved):
    checkpoint = read_checkpoint(saved)
    document = json.loads(json.dumps(checkpoint.document))
    document["components"] = [c for c in document["components"] if c["kind"] != "kernels"]
    old = replace(checkpoint, document=document)
    from_file_content(old, "m.h5", (), registry(kernels("relu")))


def test_only_kernels_can_be_used_without_being_named(saved):
    checkpoint = read_checkpoint(saved)
    document = json.loads(json.dumps(checkpoint.document))
    document["components"][0]["default"] = True
    with pytest.raises(CheckpointError, match="default: must be false for kind"):
        from_file_content(replace(checkpoint, document=document), "m.h5", (), registry())


def test_a_method_that_does_not_take_the_fixed_inputs_is_left_out(tmp_path):
    @dataclass(frozen=True)
    class Picky(Kernels):
        def max_pool_backward(self, *arguments):
            raise ValueError("only large images")

    nnreg.save(model(registry(Picky)), tmp_path / "m.h5")
    (record,) = records(tmp_path / "m.h5")
    assert list(record["probes"]["$.train.kernels"]) == [
        name for name in called("images") if name != "max_pool_backward"
    ]
    load(tmp_path / "m.h5", registry=registry(Picky))
