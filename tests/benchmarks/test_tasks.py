"""The real tasks trained with nnreg and with PyTorch: their data, the rounds, and the table."""

import importlib
import inspect
import json

import numpy as np
import pytest

from benchmarks.harness import Effort, UnavailableError
from benchmarks.processes import Finished
from benchmarks.tasks import __main__ as command
from benchmarks.tasks import prepare
from benchmarks.tasks.__main__ import HEADING, Comparison, Outcome, compare, main, tasks
from tests.helpers.paths import MODELS
from tests.helpers.specs import classifier


def outcome(seconds, accuracy, *, processor=0.0):
    return Outcome(seconds, processor, {"loss": 9.0, "accuracy": accuracy}, "accuracy", 5, 1234)


def written(directory, arrays, spec):
    np.savez(directory / "fake.npz", **arrays)
    data = {"source": "npz", "path": "fake.npz", **spec.pop("data")}
    train = {"epochs": 3, "batch_size": 4, "early_stopping": {"patience": 1}}
    whole = {"data": data, "optimizer": "sgd", "train": train, **spec}
    (directory / "fake.json").write_text(json.dumps(whole))
    return prepare("fake", ["seed=7"], directory=directory)


def test_every_module_of_a_task_has_a_spec_and_the_same_function():
    for path in (MODELS.parent / "benchmarks" / "tasks").glob("[a-z]*.py"):
        if path.stem != "worker":
            assert path.stem in tasks()
            train = importlib.import_module(f"benchmarks.tasks.{path.stem}").train
            assert list(inspect.signature(train).parameters) == ["torch", "data", "epochs", "seed"]


def test_both_trainings_get_the_rows_of_the_network_without_a_validation_split(tmp_path):
    arrays = {"x": np.arange(20.0).reshape(10, 2), "y": np.arange(10) % 2}
    split = {"validation": 0.2, "test": 0.3}
    spec = {
        "data": {"target": "y", "columns": {"y": "category"}, "split": split},
        "model": {"layers": [{"type": "dense", "units": 2, "activation": "softmax"}]},
        "loss": "cross_entropy",
        "metrics": ["accuracy"],
    }
    data = written(tmp_path, arrays, spec)
    assert (data.batch_size, data.epochs, data.seed) == (4, 3, 7)
    assert (len(data.train), len(data.test)) == (5, 3)
    assert data.prepared.validation is None
    assert data.prepared.model.spec.train.early_stopping is None
    np.testing.assert_allclose(data.train.inputs.mean(), 0, atol=1e-6)
    assert (data.train.lengths, data.train.target_lengths, data.train.weights) == (None,) * 3
    right = np.eye(2)[data.test.targets]
    assert data.metrics(right) == {"accuracy": 1.0}


def test_inputs_and_outputs_have_their_names_and_sequences_their_lengths(tmp_path):
    steps = np.array([[1, 2, 0], [3, 0, 0], [4, 5, 6], [1, 1, 0]])
    arrays = {"word": steps, "fact": np.arange(4.0), "a": np.arange(4.0), "b": np.arange(4) % 2}
    spec = {
        "data": {
            "inputs": {"text": "word", "facts": ["fact"]},
            "target": {"size": "a", "kind": "b"},
            "columns": {"b": "category"},
            "sequences": {"padding": 0},
            "split": {"test": 0.5},
        },
        "model": {"layers": [
            {"type": "embedding", "vocabulary": 7, "units": 2, "inputs": "text"},
            {"type": "gru", "units": 2, "name": "read"},
            {"type": "concat", "inputs": ["read", "facts"], "name": "both"},
            {"type": "dense", "units": 1, "name": "size"},
            {"type": "dense", "units": 2, "activation": "softmax", "inputs": "both",
             "name": "kind"},
        ]},
        "loss": {"size": "mean_squared_error", "kind": "cross_entropy"},
        "metrics": {"size": ["mean_absolute_error"], "kind": ["accuracy"]},
    }  # fmt: skip
    data = written(tmp_path, arrays, spec)
    assert {name: one.shape for name, one in data.test.inputs.items()} == {
        "text": (2, 3), "facts": (2, 1)
    }  # fmt: skip
    assert list(data.test.lengths) == ["text"]
    np.testing.assert_array_equal(
        data.test.lengths["text"], (data.test.inputs["text"] > 0).sum(axis=1)
    )
    targets = data.test.targets
    assert targets.keys() == {"size", "kind"}
    outputs = {"size": targets["size"], "kind": np.eye(2)[targets["kind"]]}
    assert data.metrics(outputs) == {
        "size_mean_absolute_error": pytest.approx(0, abs=1e-6),
        "kind_accuracy": 1.0,
    }


def test_the_trainings_alternate_and_each_round_has_a_seed_for_both(monkeypatch, tmp_path):
    (tmp_path / "fake.json").write_text(json.dumps(classifier(seed=5)))
    asked = []

    def run(arguments, environment, directory):
        library, task, *options = arguments[3:]
        asked.append((library, task, options, environment["OMP_NUM_THREADS"]))
        if library == "PyTorch" and options[1] == "6":
            raise UnavailableError("no module named torch")
        return Finished(9.0, 9.0, json.dumps(vars(outcome(1.0, 0.5))), 9.0)

    monkeypatch.setattr(command, "run", run)
    monkeypatch.setattr(command, "MODELS", tmp_path)
    found = compare("fake", Effort(3, 0.0, threads=2), epochs=4)
    assert [(library, options[1]) for library, _, options, _ in asked] == [
        ("nnreg", "5"), ("PyTorch", "5"), ("nnreg", "6"), ("PyTorch", "6"), ("nnreg", "7")
    ]  # fmt: skip
    assert asked[0][1:] == (
        "fake", ["--seed", "5", "--threads", "2", "--epochs", "4"], "2"
    )  # fmt: skip
    assert len(found.outcomes["nnreg"]) == 3
    assert found.left_out == {"PyTorch": "no module named torch"}


def test_the_table_has_medians_and_how_many_times_as_long_pytorch_takes():
    outcomes = {
        "nnreg": [
            outcome(9, 0.5, processor=2),
            outcome(3, 0.9, processor=1),
            outcome(5, 0.7, processor=9),
        ],
        "PyTorch": [outcome(10, 0.8, processor=3)],
    }
    elapsed, processor = (Comparison("a task", threads, outcomes, {}) for threads in (2, 1))
    expected = "a task 1,234 5 accuracy 0.7000 0.8000 5.00 10.0 2.00"
    assert elapsed.line.split() == expected.split()
    assert processor.line.split()[-3:] == ["2.00", "3.00", "1.50"]
    assert {len(line) for line in HEADING.splitlines()[1:]} == {len(elapsed.line)}
    alone = Comparison("a task", 1, {"nnreg": [outcome(1, 0.5, processor=1)]}, {})
    assert alone.line.split()[-5:] == ["0.5000", "-", "1.00", "-", "-"]
    assert Comparison("a task", 1, {}, {}).line.split() == ["a", "task", "-"]


@pytest.mark.verify
def test_a_round_trains_a_task_with_both_and_writes_what_it_measured(peer, tmp_path, capsys):
    peer("torch", imported=False)
    out = tmp_path / "new" / "tasks.json"
    main(["reber", "--rounds", "1", "--epochs", "1", "--out", str(out)])
    found = json.loads(out.read_text())
    (one,) = found["tasks"]
    assert one["left_out"] == {}
    for library in ("nnreg", "PyTorch"):
        (trained,) = one["outcomes"][library]
        assert trained["epochs"] == 1
        assert trained["processor"] > 0
        assert 0.3 < trained["metrics"]["accuracy"] <= 1
    assert "reber" in capsys.readouterr().out
    assert "torch" in found["environment"]["versions"]


@pytest.fixture(autouse=True)
def keeps_its_cores(monkeypatch):
    """Do not pin the process of the tests."""
    monkeypatch.setattr(command, "pin", lambda cores: None)
