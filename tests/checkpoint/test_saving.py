"""Saving: a snapshot between two steps, and only what a reader accepts."""

import copy
import os
import pickle
import threading
from pathlib import Path

import numpy as np
import pytest

import nnreg
from nnreg import CheckpointError
from nnreg._utils.hdf5_names import MAX_DEPTH
from nnreg.checkpoint.file_format import Checkpoint, read_checkpoint, write_checkpoint
from nnreg.training.state import StepLock
from tests.helpers.specs import blobs, classifier, regressor


class EveryStep(StepLock):
    """A lock for which a thread seems to wait after every step."""

    def __init__(self, read):
        super().__init__()
        self._read = read

    waiting = property(lambda self: 1, lambda self, value: None)

    def let_others_read(self):
        self._read()


def test_a_model_saved_between_any_two_steps_resumes_bit_identically(tmp_path):
    x, y = blobs()
    train = {"epochs": 3, "batch_size": 16, "ema": 0.9, "clip_norm": 1.0}
    model = nnreg.build(classifier(train=train), data=(x, y))
    files = []

    def save():
        files.append(tmp_path / f"{len(files)}.h5")
        nnreg.save(model, files[-1])

    model.training_state.lock = EveryStep(save)
    model.fit(x, y)
    assert len(files) == 3 * (-(-len(x) // 16) - 1)  # the last step of an epoch ends it
    for file in files:
        resumed = nnreg.load(file)
        assert resumed.training_state.epoch_state is not None
        resumed.fit(x, y)
        assert resumed.network.vector.tobytes() == model.network.vector.tobytes()
        assert list(resumed.history) == list(model.history)


def test_every_file_that_another_thread_saves_during_training_loads(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 3))
    layers = [{"type": "dense", "units": 256, "activation": "relu"}, {"type": "dense", "units": 1}]
    train = {"epochs": 40, "batch_size": 8}
    spec = regressor(model={"layers": layers}, train=train, optimizer="adam")
    model = nnreg.build(spec, data=(x, x[:, 0]))
    training = threading.Thread(target=model.fit, args=(x, x[:, 0]))
    saved = []
    training.start()
    while training.is_alive():
        nnreg.save(model, tmp_path / "model.h5")
        saved.append(nnreg.load(tmp_path / "model.h5").training_state.step)
    training.join()
    assert saved == sorted(saved)
    assert model.training_state.epoch == 40


def test_several_threads_wait_for_the_end_of_a_step():
    lock, seen, held = StepLock(), [], threading.Event()

    def read(name):
        with lock.reading():
            seen.append((name, held.is_set()))

    readers = [threading.Thread(target=read, args=(name,)) for name in "abc"]
    with lock.training():
        held.set()
        for reader in readers:
            reader.start()
        while lock.waiting < 3:
            pass
        held.clear()
        lock.let_others_read()
        assert sorted(seen) == [("a", False), ("b", False), ("c", False)]
        assert not lock.waiting
    for reader in readers:
        reader.join()


@pytest.fixture
def written(monkeypatch):
    """Return a list to which each save adds whether it copies, and whether training must wait."""
    found = []

    def write(path, checkpoint):
        model = found[0]
        vector, lock = model.network.vector, model.training_state.lock
        copied = not any(np.shares_memory(vector, one) for one in checkpoint.arrays.values())
        other = threading.Thread(target=lambda: found.append((copied, not free(lock))))
        other.start()
        other.join()
        write_checkpoint(path, checkpoint)

    monkeypatch.setattr("nnreg.checkpoint.save_load.write_checkpoint", write)
    return found


def free(lock):
    """Return whether the calling thread can have a lock."""
    acquired = lock._changed.acquire(blocking=False)
    if acquired:
        lock._changed.release()
    return acquired


def test_a_model_that_is_not_in_training_is_saved_without_a_copy_and_training_waits(
    tmp_path, written
):
    x, y = blobs()
    model = nnreg.build(classifier(train={"epochs": 2}), data=(x, y))
    model.fit(x, y, epochs=1)  # after which it is not in training again
    written.append(model)
    nnreg.save(model, tmp_path / "model.h5")
    assert written[1:] == [(False, True)]
    assert nnreg.load(tmp_path / "model.h5").network.vector.tobytes() == (
        model.network.vector.tobytes()
    )


def test_a_copy_of_a_model_in_training_is_saved_so_that_training_goes_on(tmp_path, written):
    x, y = blobs()
    model = nnreg.build(classifier(train={"epochs": 1, "batch_size": 16}), data=(x, y))
    written.append(model)
    model.training_state.lock = EveryStep(lambda: nnreg.save(model, tmp_path / "model.h5"))
    model.fit(x, y)
    assert written[1:]
    assert all(copied for copied, _ in written[1:])


def test_a_copy_of_a_lock_is_free():
    lock = StepLock()
    with lock.training():
        for other in (copy.deepcopy(lock), pickle.loads(pickle.dumps(lock))):
            thread = threading.Thread(target=lambda other=other: other.reading().__enter__())
            thread.start()
            thread.join(10)
            assert not thread.is_alive()


def nested(depth):
    layer = {"type": "dense", "units": 2}
    for _ in range(depth):
        layer = {"type": "residual", "layers": [layer]}
    return regressor(model={"layers": [layer, {"type": "dense", "units": 1}]})


def test_what_is_nested_as_deep_as_a_reader_accepts_is_saved(tmp_path):
    x = np.ones((4, 2))
    nnreg.save(nnreg.build(nested(30), data=(x, x[:, 0])), tmp_path / "model.h5")
    nnreg.load(tmp_path / "model.h5")


@pytest.mark.parametrize("depth", [31, 40])
def test_what_is_nested_too_deep_to_load_replaces_no_file_and_starts_no_run(tmp_path, depth):
    x = np.ones((4, 2))
    path = tmp_path / "model.h5"
    path.write_bytes(b"good")
    model = nnreg.build(nested(depth), data=(x, x[:, 0]))
    with pytest.raises(
        CheckpointError, match=r"^.*: cannot save: 'parameters.* is nested too deep"
    ):
        nnreg.save(model, path)
    assert path.read_bytes() == b"good"
    with pytest.raises(CheckpointError, match=r"run: cannot save: .* is nested too deep"):
        nnreg.run(nested(depth), data=(x, x[:, 0]), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("folds", [{}, {"folds": 2}])
@pytest.mark.skipif(os.name != "posix", reason="names of POSIX")
def test_a_directory_whose_name_is_not_utf_8_starts_no_run(tmp_path, monkeypatch, folds):
    directory = tmp_path / os.fsdecode(b"caf\xe9")
    directory.mkdir()
    monkeypatch.chdir(directory)
    Path("data.csv").write_text("a,y\n" + "".join(f"{i},{i}\n" for i in range(10)))
    data = {"source": "csv", "path": "data.csv", "target": "y"}
    with pytest.raises(CheckpointError) as caught:
        nnreg.run(regressor(data=data, train={"epochs": 1, **folds}), out="runs/a")
    assert str(caught.value).startswith("runs/a: cannot save: its document: 1 problem")
    assert str(caught.value).endswith("file, directory or class is not UTF-8; rename it")
    assert os.listdir() == ["data.csv"]
    assert nnreg.run(regressor(data=data, train={"epochs": 1}))  # in memory


DOCUMENTS = [
    ({"a": "\udce9"}, "unpaired surrogate"),
    ({"a": float("nan"), "b": [[]] * 400_001}, "too large"),
]
NAMES = ["a//b", "a/\n", "\udce9", "a/../b", "/".join("a" * 66)]
ARRAY = np.zeros(1)


@pytest.mark.parametrize(("document", "problem"), DOCUMENTS)
def test_a_document_that_is_not_read_is_not_written(tmp_path, document, problem):
    path = tmp_path / "a.h5"
    path.write_bytes(b"good")
    with pytest.raises(CheckpointError, match=problem):
        write_checkpoint(path, Checkpoint(document, {}))
    assert path.read_bytes() == b"good"


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_is_not_read_is_not_written(tmp_path, name):
    with pytest.raises(CheckpointError, match=r"is not a name|is nested too deep"):
        write_checkpoint(tmp_path / "a.h5", Checkpoint({}, {name: ARRAY}))
    assert not list(tmp_path.iterdir())


def test_the_deepest_names_and_the_most_arrays_that_are_written_are_read(tmp_path):
    deepest = "/".join("a" * (MAX_DEPTH + 1))
    write_checkpoint(tmp_path / "a.h5", Checkpoint({}, {deepest: ARRAY}))
    assert read_checkpoint(tmp_path / "a.h5").arrays.keys() == {deepest}
    most = {f"a{i}": ARRAY for i in range(9_999)}  # with the document, 10,000
    write_checkpoint(tmp_path / "b.h5", Checkpoint({}, most))
    assert read_checkpoint(tmp_path / "b.h5").arrays.keys() == most.keys()
    with pytest.raises(CheckpointError, match="more than 10,000 groups and datasets"):
        write_checkpoint(tmp_path / "b.h5", Checkpoint({}, {**most, "b": ARRAY}))
