"""A checkpoint records the kernels of a plugin, and detects kernels that compute something else."""

import inspect
import json
from dataclasses import dataclass, replace

import numpy as np
import pytest

import nnreg
from nnreg import CheckpointError, Kernels, MissingPluginError, builtin, hookimpl
from nnreg.checkpoint.file_format import read_checkpoint
from nnreg.checkpoint.save_load import from_file_content, load, to_file_content
from nnreg.provenance.kernel_outputs import OUTPUTS
from nnreg.registry.registry import Registry
from nnreg.spec.document import read_spec
from tests.helpers.specs import blobs, classifier

METHODS = [name for name, _ in inspect.getmembers(Kernels, inspect.isfunction) if name[0] != "_"]


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


def model(with_these, **train):
    spec = classifier(train={"epochs": 1, **train})
    return nnreg.build(read_spec(spec, registry=with_these), data=blobs())


@pytest.fixture
def saved(tmp_path):
    """Save a model whose spec does not name the kernels; return the file."""
    nnreg.save(model(registry(kernels())), tmp_path / "m.h5")
    return tmp_path / "m.h5"


def records(path):
    return [c for c in read_checkpoint(path).document["components"] if c["kind"] == "kernels"]


def test_every_method_of_kernels_is_in_their_fingerprint():
    assert OUTPUTS.keys() == set(METHODS)


def test_kernels_that_the_spec_does_not_name_are_recorded(saved):
    (record,) = records(saved)
    assert record["default"] is True
    assert [record[key] for key in ("name", "distribution", "version")] == [
        "fast",
        "nnreg-fast",
        "1.0",
    ]
    (numbers,) = record["probes"].values()
    assert numbers.keys() == set(METHODS)
    assert len(json.dumps(record)) < 5000


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
    spec = classifier(train={"epochs": 1})
    spec["model"]["dtype"] = dtype
    before, after = registry(kernels()), registry(kernels(method))
    nnreg.save(nnreg.build(read_spec(spec, registry=before), data=blobs()), tmp_path / "m.h5")
    load(tmp_path / "m.h5", registry=before)
    with pytest.raises(CheckpointError) as caught:
        load(tmp_path / "m.h5", registry=after)
    (line,) = str(caught.value).splitlines()[1:-1]
    assert line.startswith("  kernels 'fast' of nnreg-fast 1.0, changed under the same version: ")
    assert "(at $.train.kernels)" in line
    load(tmp_path / "m.h5", registry=after, allow_changed=True)


def test_a_file_loads_without_the_kernels_that_its_spec_does_not_name(saved):
    x = blobs()[0]
    expected = load(saved, registry=registry(kernels())).predict(x)
    assert np.array_equal(load(saved, registry=registry()).predict(x), expected)
    other = registry(kernels(), "3.0", "nnreg-other")
    assert records_of(load(saved, registry=other))["distribution"] == "nnreg-other"


def records_of(loaded):
    components = to_file_content(loaded).document["components"]
    return next(one for one in components if one["kind"] == "kernels")


def test_what_wrong_kernels_trained_is_detected_without_them(tmp_path):
    nnreg.save(model(registry(kernels("softmax"))), tmp_path / "m.h5")
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
        def col2im(self, columns, images, stride):
            raise ValueError("only large images")

    nnreg.save(model(registry(Picky)), tmp_path / "m.h5")
    (record,) = records(tmp_path / "m.h5")
    assert record["probes"]["$.train.kernels"].keys() == set(METHODS) - {"col2im"}
    load(tmp_path / "m.h5", registry=registry(Picky))
