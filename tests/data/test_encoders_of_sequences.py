"""Encoders of plugins for the steps of sequences, and for what an autoencoder reproduces."""

import csv
import json
from dataclasses import dataclass, replace

import numpy as np
import pytest

import nnreg
from nnreg import DataError, Encoder, SpecError, learned
from nnreg.builtin.encoders import Number
from nnreg.data.targets import ClassTarget
from nnreg.runs.prepare import prepare_from_spec
from nnreg.spec.document import read_spec
from nnreg.tables.convert import table_of
from tests.data.test_encoders import Log, TargetMean
from tests.helpers.specs import regressor

WORDS = [["the", "dog", "sleeps"], ["birds"], ["the", "birds"]]
SOFTMAX = {"type": "dense", "units": "classes", "activation": "softmax"}
EMBEDDED = [{"type": "embedding", "vocabulary": 5, "units": 3}, SOFTMAX]


@dataclass(frozen=True)
class Word(Encoder):
    """The number of a word."""

    takes = "text"
    integer = True
    shape = ()

    words: tuple[str, ...] = learned(())

    def learn(self, column):
        return replace(self, words=tuple(sorted({*column.values})))

    def encode(self, column):
        return np.array([self.words.index(word) for word in column.values])


@pytest.fixture(autouse=True)
def _plugin(registering, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, cls in {"log": Log, "word": Word, "target_mean": TargetMean}.items():
        nnreg.register(name, cls)


def spec(columns, layers, loss, encoders, target="inputs"):
    """Return a spec of the columns, which are written to a file."""
    with open("data.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for row in zip(*columns.values(), strict=True):
            writer.writerow([json.dumps(one) if isinstance(one, list) else one for one in row])
    return {
        "data": {"source": "csv", "path": "data.csv", "target": target, "columns": encoders},
        "model": {"layers": layers},
        "loss": loss,
        "optimizer": "adam",
        "train": {"epochs": 2},
    }


def test_an_autoencoder_of_words_reads_what_the_encoder_gives_and_predicts_words():
    model = nnreg.run(
        spec({"words": WORDS}, EMBEDDED, "cross_entropy", {"words": "word"}), out="out"
    )
    assert isinstance(model.preprocessing.target, ClassTarget)
    assert model.preprocessing.target.names == ("birds", "dog", "sleeps", "the")
    assert [len(one) for one in nnreg.load("out").classify({"words": WORDS})] == [3, 1, 2]


def test_the_targets_of_an_autoencoder_are_not_encoded():
    encoders = {"a": "log", "b": {"type": "number", "scaling": "none"}}
    columns = {"a": [1, 3, 9], "b": [2, 4, 5]}
    model = nnreg.build(spec(columns, [{"type": "dense", "units": 2}], "huber", encoders))
    log, number = (one.encoder for one in model.preprocessing.inputs)
    assert isinstance(log, Log)
    assert number == Number("none")
    targets, _ = model.outputs[""].targets(table_of(columns), model.network)
    np.testing.assert_array_equal(targets, [[1, 2], [3, 4], [9, 5]])


@pytest.mark.parametrize("target", [["yes", "no", "yes"], [["yes"] * 3, ["no"], ["yes", "no"]]])
def test_an_encoder_that_needs_the_target_is_refused_for_steps(target):
    layers = [{"type": "lstm", "units": 2, "sequences": isinstance(target[0], list)}, SOFTMAX]
    columns = {"words": WORDS, "ill": target}
    given = spec(columns, layers, "cross_entropy", {"words": "target_mean"}, "ill")
    with pytest.raises(
        SpecError, match="one target for each row, which sequences and windows do not"
    ):
        nnreg.build(given)


def test_an_encoder_that_needs_the_target_is_refused_for_a_target_per_step():
    layers = [
        {"type": "dense", "units": 2, "inputs": "town", "name": "other"},
        {"type": "lstm", "units": 2, "sequences": True, "inputs": "words"},
        {**SOFTMAX, "name": "ill"},
    ]
    columns = {"words": WORDS, "town": ["p", "q", "p"], "ill": [["a"] * 3, ["b"], ["a", "b"]]}
    given = spec(columns, layers, {"ill": "cross_entropy"}, {"town": "target_mean"}, {"ill": "ill"})
    given["model"]["outputs"] = ["other"]
    given["data"]["inputs"] = {"words": ["words"], "town": ["town"]}
    with pytest.raises(SpecError, match=r"columns\.town: its encoder needs one target .* which"):
        nnreg.build(given)


def test_lists_of_numbers_in_cells_are_arrays_where_the_encoder_takes_these(tmp_path):
    text = 'v,y\n"[1, 2]",1\n"[3, 4]",2\n"[5, 9]",3\n'
    (tmp_path / "t.csv").write_text(text)
    data = {"source": "csv", "path": str(tmp_path / "t.csv"), "target": "y"}
    data["columns"] = {"v": {"type": "values", "scaling": "none"}}
    spec = regressor(data=data)
    run = prepare_from_spec(read_spec(spec))
    assert run.train.x.tolist() == [[1, 2], [3, 4], [5, 9]]
    rows = {"v": ["[1, 2]", "[5, 9]"]}
    found = run.model.predict({"v": [[1, 2], [5, 9]]})
    np.testing.assert_array_equal(run.model.predict(rows), found)
    (tmp_path / "t.csv").write_text(text.replace("[3, 4]", "[3]"))
    with pytest.raises(DataError, match="line 3, column 'v': a list of 1 numbers, but the"):
        prepare_from_spec(read_spec(spec))
