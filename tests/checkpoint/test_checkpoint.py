"""The checkpoint file: atomic, plain, and rejected if it is damaged."""

import errno
import os
import subprocess
import sys
from dataclasses import replace

import h5py
import numpy as np
import pytest

import nnreg
from nnreg import CheckpointError, MissingPluginError
from nnreg.checkpoint import file_format
from nnreg.checkpoint.file_format import Checkpoint, read_checkpoint, verify, write_checkpoint
from nnreg.checkpoint.save_load import from_file_content, to_file_content
from tests.helpers.paths import ROOT
from tests.helpers.specs import blobs, classifier, csv_data, line, regressor
from tests.helpers.work import HANG_SECONDS

SMALL = Checkpoint(
    {"a": [1, "ü"]}, {"x/y": np.arange(6.0).reshape(2, 3), "n": np.array([1, 2], np.int64)}
)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "small.h5"
    write_checkpoint(path, SMALL)
    return path


@pytest.fixture
def model():
    data = blobs()
    model = nnreg.build(
        classifier(model={"layers": [{"type": "batch_norm"}, *classifier()["model"]["layers"]]}),
        data=data,
    )
    model.fit(data[0][:40], data[1][:40], validation=(data[0][40:], data[1][40:]))
    return model


def test_written_content_is_read_back(file):
    found = read_checkpoint(file)
    assert found.document == SMALL.document
    assert found.arrays.keys() == SMALL.arrays.keys()
    for name, array in SMALL.arrays.items():
        np.testing.assert_array_equal(found.arrays[name], array)
        assert found.arrays[name].dtype == array.dtype


def test_plain_h5py_reads_the_file(file):
    with h5py.File(file) as opened:
        np.testing.assert_array_equal(opened["x/y"], SMALL.arrays["x/y"])


def test_the_same_content_gives_the_same_bytes(file, tmp_path):
    write_checkpoint(tmp_path / "again.h5", SMALL)
    assert file.read_bytes() == (tmp_path / "again.h5").read_bytes()


def test_nothing_in_the_file_is_compressed_or_of_variable_length(model, tmp_path):
    nnreg.save(model, tmp_path / "m.h5")

    def check(name, item):
        assert not item.attrs
        if isinstance(item, h5py.Dataset):
            assert item.dtype.kind in "fiu", name
            assert item.chunks is None, name

    with h5py.File(tmp_path / "m.h5") as opened:
        opened.visititems(check)


def rejected(data):
    try:
        verify(data, "small.h5")
    except CheckpointError:
        return True
    return False


def test_every_truncation_is_rejected(file):
    data = file.read_bytes()
    assert sum(rejected(data[:length]) for length in range(len(data))) == len(data)


@pytest.mark.parametrize("length", [0, 1000, 500_000])
def test_a_file_that_is_truncated_while_it_is_read_is_rejected(tmp_path, monkeypatch, length):
    file, check = tmp_path / "large.h5", file_format._check_head
    write_checkpoint(file, Checkpoint({}, {"x": np.ones(1 << 18)}))

    def truncate_once(*arguments):
        monkeypatch.setattr(file_format, "_check_head", check)
        os.truncate(file, length)
        return check(*arguments)

    monkeypatch.setattr(file_format, "_check_head", truncate_once)
    with pytest.raises(CheckpointError, match="truncated or extended"):
        read_checkpoint(file)


def test_every_flipped_bit_is_detected(file):
    data = bytearray(file.read_bytes())
    assert not rejected(bytes(data))
    detected = 0
    for offset in range(len(data)):
        for bit in range(8):
            data[offset] ^= 1 << bit
            detected += rejected(bytes(data))
            data[offset] ^= 1 << bit
    assert detected == 8 * len(data)


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failed_save_leaves_the_old_file_and_no_other(file, monkeypatch, call):
    before = file.read_bytes()

    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(CheckpointError, match="cannot save: No space left on device"):
            write_checkpoint(file, replace(SMALL, document={"new": True}))
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


def test_a_missing_directory_is_reported(tmp_path):
    with pytest.raises(CheckpointError, match="cannot save: No such file or directory"):
        write_checkpoint(tmp_path / "no" / "m.h5", SMALL)
    with pytest.raises(CheckpointError, match="cannot read: No such file or directory"):
        nnreg.load(tmp_path / "no" / "m.h5")


def test_predictions_of_a_loaded_model_are_bit_identical(model, tmp_path):
    x, _ = blobs()
    nnreg.save(model, tmp_path / "m.h5")
    loaded = nnreg.load(tmp_path / "m.h5")
    assert loaded.predict(x).tobytes() == model.predict(x).tobytes()
    assert loaded.classes == model.classes
    assert list(loaded.history) == list(model.history)
    assert loaded.buffers.keys() == {"layers/0/running_mean", "layers/0/running_variance"}


def test_training_resumes_bit_identically_in_a_new_process(tmp_path):
    script = """
import sys
sys.path.insert(0, sys.argv[1])
import nnreg
from tests.helpers.specs import blobs
model = nnreg.load(sys.argv[2])
model.fit(*blobs(), epochs=6)
nnreg.save(model, sys.argv[2])
"""
    data = blobs()
    model = nnreg.build(classifier(), data=data)
    model.fit(*data, epochs=4)
    nnreg.save(model, tmp_path / "resumed.h5")
    subprocess.run(
        [sys.executable, "-c", script, str(ROOT), str(tmp_path / "resumed.h5")], check=True
    )
    whole = nnreg.build(classifier(), data=data)
    whole.fit(*data, epochs=10)
    nnreg.save(whole, tmp_path / "whole.h5")
    resumed, once = (read_checkpoint(tmp_path / f"{name}.h5") for name in ("resumed", "whole"))
    assert {name.split("/")[0] for name in resumed.arrays} >= {"parameters", "optimizer", "history"}
    assert resumed.arrays.keys() == once.arrays.keys()
    for name, array in resumed.arrays.items():
        assert array.tobytes() == once.arrays[name].tobytes(), name
    assert resumed.document["progress"] == once.document["progress"]


def test_a_missing_plugin_is_reported_with_the_command_that_installs_it(model):
    checkpoint = to_file_content(model)
    component = {"kind": "activation", "name": "swish", "plugin": "swish",
                 "distribution": "nnreg-swish", "version": "1.0"}  # fmt: skip
    document = {**checkpoint.document, "components": [component]}
    with pytest.raises(MissingPluginError) as caught:
        from_file_content(replace(checkpoint, document=document), "m.h5")
    assert str(caught.value) == (
        "m.h5 needs the activation 'swish' of nnreg-swish 1.0, which is not installed; "
        "if you trust it, run: pip install nnreg-swish==1.0"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d, a: a.pop("parameters/layers/1/bias"), "'parameters/layers/1/bias' is missing"),
        (lambda d, a: a.update({"more": np.zeros(1)}), "'more' is not an array of this model"),
        (lambda d, a: a.update({"parameters/layers/1/bias": np.zeros(3, np.float32)}),
         r"the spec requires float32 \(8,\)"),
        (lambda d, a: a.update({"parameters/layers/1/bias": np.zeros(8)}), "is float64"),
        (lambda d, a: d.pop("preprocessing"), r"\$.preprocessing: required"),
        (lambda d, a: d.update(preprocessing={"inputs": 3}), "must be a valid array"),
        (lambda d, a: d.update(history=["epoch"]), "'history' is float64"),
        (lambda d, a: d.update(components=3), "checkpoint is inconsistent"),
        (lambda d, a: d.update(components=[{}]), "checkpoint is inconsistent"),
        (lambda d, a: d.update(components=[
            {"kind": "loss", "name": "x", "plugin": "x", "distribution": "a; b", "version": "1"}]),
         "is not a distribution"),
        (lambda d, a: d.update(progress=None), "checkpoint is inconsistent"),
        (lambda d, a: d["spec"].update(loss="nonsense"), "no loss 'nonsense'"),
    ],
)  # fmt: skip
def test_inconsistent_checkpoints_are_rejected(model, change, message):
    checkpoint = to_file_content(model)
    document, arrays = dict(checkpoint.document), dict(checkpoint.arrays)
    document["spec"] = dict(document["spec"])
    change(document, arrays)
    with pytest.raises(CheckpointError, match=message):
        from_file_content(Checkpoint(document, arrays), "m.h5")


def test_preprocessing_is_saved_with_the_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    from tests.helpers.specs import CSV

    (tmp_path / "data.csv").write_text(CSV)
    model = nnreg.run(classifier(data=csv_data()))
    nnreg.save(model, "m.h5")
    rows = [
        {"island": None, "length": "4.0", "depth": None},
        {"island": "south", "length": 1, "depth": 2},
    ]
    loaded = nnreg.load("m.h5")
    assert loaded.preprocessing == model.preprocessing
    assert loaded.predict(rows).tobytes() == model.predict(rows).tobytes()


def test_an_untrained_model_is_saved_too(tmp_path):
    model = nnreg.build(regressor(), data=line())
    nnreg.save(model, tmp_path / "m.h5")
    loaded = nnreg.load(tmp_path / "m.h5")
    assert len(loaded.history) == 0
    loaded.fit(*line(), epochs=1)
    assert len(loaded.history) == 1


def test_save_accepts_a_file_name_as_text(tmp_path):
    nnreg.save(nnreg.build(regressor(), data=line()), str(tmp_path / "m.h5"))
    assert nnreg.load(str(tmp_path / "m.h5")).parameters.keys() == {
        "layers/0/weight", "layers/0/bias"
    }  # fmt: skip


def test_weights_that_are_not_finite_are_not_saved(model, tmp_path):
    nnreg.save(model, tmp_path / "m.h5")
    before = (tmp_path / "m.h5").read_bytes()
    model.parameters["layers/1/bias"][0] = np.nan
    with pytest.raises(CheckpointError, match="cannot save: 1 of the 8 values of 'parameters/lay"):
        nnreg.save(model, tmp_path / "m.h5")
    assert (tmp_path / "m.h5").read_bytes() == before


@pytest.mark.skipif(os.name != "posix", reason="links and devices of POSIX")
def test_saving_to_a_link_replaces_the_file_behind_it_and_to_a_device_writes(model, tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "latest.h5").symlink_to("disk/model.h5")
    nnreg.save(model, tmp_path / "latest.h5")
    stale = tmp_path / "disk" / ".model.h5.0123456789ab.tmp"  # of a process that was killed
    stale.touch()
    model.parameters["layers/1/bias"][...] = 7
    nnreg.save(model, tmp_path / "latest.h5")
    assert (tmp_path / "latest.h5").is_symlink()
    assert (nnreg.load(tmp_path / "disk/model.h5").parameters["layers/1/bias"] == 7).all()
    assert not stale.exists()
    (tmp_path / "null").symlink_to("/dev/null")
    nnreg.save(model, tmp_path / "null")
    assert (tmp_path / "null").is_char_device()


@pytest.mark.skipif(os.name != "posix", reason="pipes of POSIX")
def test_a_pipe_gets_the_bytes_of_the_file(model, tmp_path):
    nnreg.save(model, tmp_path / "model.h5")
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen(["cat", tmp_path / "pipe"], stdout=subprocess.PIPE) as reader:
        nnreg.save(model, tmp_path / "pipe")
        assert reader.communicate(timeout=HANG_SECONDS)[0] == (tmp_path / "model.h5").read_bytes()
