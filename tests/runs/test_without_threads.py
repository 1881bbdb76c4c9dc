"""Training and prediction where no thread can be started, as in Pyodide."""

import json
import threading
from pathlib import Path

import h5py
import numpy as np
import pytest

from nnreg import SpecError, load, run, save
from nnreg._utils.threads import CallerExecutor, can_start_threads
from nnreg.checkpoint import file_format
from nnreg.network import network
from tests.helpers.specs import classifier

RNG = np.random.default_rng(0)
TRAIN = {"epochs": 2, "batch_size": 64, "shards": 2, "threads": 2}


@pytest.fixture
def spec(tmp_path, monkeypatch):
    """Write a spec of which threads read the data, train, hash the file, and predict."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(file_format, "THREAD_BYTES", 1)
    monkeypatch.setattr(network, "MIN_CHUNK_ACTIVATIONS", 0)
    monkeypatch.setattr(network, "available_threads", lambda: 2)
    with h5py.File("data.h5", "w") as file:
        file["x"] = RNG.normal(size=(300, 5))
        file["y"] = RNG.choice(np.array(["a", "b"], "S1"), 300)
    data = {
        "source": {"type": "hdf5", "stream": True}, "path": "data.h5", "target": "y",
        "split": {"validation": 0.2, "test": 0.2},
    }  # fmt: skip
    return classifier(data=data, train=TRAIN)


@pytest.fixture
def starts(monkeypatch):
    """Return the names of the threads that are started."""
    names, start = [], threading.Thread.start

    def record(thread):
        names.append(thread.name)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", record)
    return names


def forbid_threads(monkeypatch):
    def refuse(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)


def answers(nnreg, out, starts):
    """Train, save, load and predict; return all results, and where threads were started."""
    counts = [len(starts)]
    for command in (
        ("run", "spec.json", "--out", out, "--quiet"),
        ("report", out),
        ("predict", out, "data.h5", "--out", f"{out}.csv"),
    ):
        code, _, err = nnreg(*command)
        assert code == 0, err
    counts.append(len(starts))
    model = load(out)
    save(model, f"{out}.h5")
    counts.append(len(starts))
    predicted = load(f"{out}.h5").predict(np.linspace(-1, 1, 15_000).reshape(-1, 5))
    counts.append(len(starts))
    found = [*model.parameters.values(), model.history["val_loss"], predicted]
    return [*map(np.asarray, found)], Path(f"{out}.csv").read_bytes(), np.diff(counts)


def test_all_works_in_one_thread_and_gives_the_same_bits(spec, starts, nnreg, monkeypatch):
    Path("spec.json").write_text(json.dumps(spec))
    *expected, used = answers(nnreg, "threads", starts)
    assert all(used), used
    forbid_threads(monkeypatch)
    assert not can_start_threads()
    arrays, rows, _ = answers(nnreg, "none", starts)
    assert [array.tobytes() for array in arrays] == [array.tobytes() for array in expected[0]]
    assert rows == expected[1]


def test_shards_that_wait_for_each_other_are_an_error_before_the_training(spec, monkeypatch):
    forbid_threads(monkeypatch)
    spec["model"]["layers"].insert(1, {"type": "batch_norm"})
    with pytest.raises(SpecError, match=r"train\.shards: no thread can be started .* set it to 1"):
        run(spec, out="run")
    assert not Path("run").exists()
    run(spec, overrides=["train.shards=1"], out="run")


def test_a_job_in_the_thread_of_the_caller_raises_its_error_at_its_result():
    failed = CallerExecutor().submit(int, "x")
    with pytest.raises(ValueError, match="invalid literal"):
        failed.result()
