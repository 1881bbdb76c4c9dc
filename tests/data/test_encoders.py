"""Encoders of plugins: from the spec to predictions of raw rows."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

import nnreg
from nnreg import (
    CheckpointError,
    DataError,
    Encoder,
    MissingPluginError,
    PluginError,
    Positive,
    RawColumn,
    SpecError,
    builtin,
    hookimpl,
    learned,
)
from nnreg.builtin.encoders import Category, Number
from nnreg.checkpoint.file_format import read_checkpoint, write_checkpoint
from nnreg.registry.registry import Registry
from nnreg.runs.prepare import prepare_from_checkpoint
from nnreg.spec.document import read_spec
from tests.helpers.specs import CSV, classifier, csv_data, regressor


@dataclass(frozen=True)
class Log(Encoder):
    offset: Positive = 1.0
    mean: float = learned(0.0)
    std: Positive = learned(1.0)

    def learn(self, column):
        logs = self._log(column)
        return replace(self, mean=float(logs.mean()), std=float(logs.std()) or 1.0)

    def encode(self, column):
        return (self._log(column) - self.mean) / self.std

    def _log(self, column):
        column.require(column.values > -self.offset, f"a number > {-self.offset:g}")
        return np.log(self.offset + column.values)


@dataclass(frozen=True)
class Tokens(Encoder):
    takes = "text"
    integer = True

    length: int = 3
    words: tuple[str, ...] = learned(())

    @property
    def shape(self):
        return (self.length,)

    def learn(self, column):
        return replace(self, words=tuple(sorted(set(" ".join(column.values).split()))))

    def encode(self, column):
        known = {word: number for number, word in enumerate(self.words, 1)}
        found = np.zeros((len(column), self.length), int)
        for row, text in zip(found, column.values, strict=True):
            tokens = [known.get(word, 0) for word in text.split()][: self.length]
            row[: len(tokens)] = tokens
        return found


@dataclass(frozen=True)
class TargetMean(Encoder):
    takes = "text"
    takes_target = True

    means: dict[str, float] = learned({})

    def learn(self, column):
        target = column.target.reshape(-1)
        means = {
            text: float(target[column.values == text].mean()) for text in sorted({*column.values})
        }
        return replace(self, means=means)

    def encode(self, column):
        return np.array([self.means.get(text, 0.0) for text in column.values])


ENCODERS = {"log": Log, "three_tokens": Tokens, "plain_target_mean": TargetMean}


def registry(named=ENCODERS, version="1.0"):
    class Plugin:
        @staticmethod
        @hookimpl
        def nnreg_encoders():
            return dict(named)

    found = Registry()
    found.add_plugin("nnreg", builtin, "nnreg", "0.1.0")
    assert not found.add_plugin("own", Plugin, "nnreg-own", version).why
    return found


def document(columns, named=ENCODERS, **data):
    return read_spec(classifier(data=csv_data(columns=columns, **data)), registry=registry(named))


@pytest.fixture
def directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.csv").write_text(CSV)
    return tmp_path


ROWS = [{"island": "north", "length": 2.0, "depth": None},
        {"island": "south", "length": 0.5, "depth": 3.0}]  # fmt: skip


def test_it_is_trained_saved_and_predicts_from_raw_rows(directory):
    model = nnreg.run(document({"length": {"type": "log", "offset": 0.5}}), out="run")
    _, length, _ = model.preprocessing.inputs
    logs = np.log(0.5 + np.array([1, 1.2, 3.9, 4.1, 0.8, 4.4, 1.1, 3.7]))
    assert length.encoder == Log(0.5, pytest.approx(logs.mean()), pytest.approx(logs.std()))
    again = nnreg.load("run", registry=registry())
    assert again.preprocessing == model.preprocessing
    np.testing.assert_array_equal(again.predict(ROWS), model.predict(ROWS))
    last = nnreg.load("run/checkpoints/last.h5", ["train.epochs=7"], registry=registry())
    assert len(prepare_from_checkpoint(last).train) == 8


def test_a_missing_plugin_is_named_on_loading(directory):
    nnreg.run(document({"length": "log"}), out="run")
    with pytest.raises(MissingPluginError, match=r"needs the encoder 'log' of nnreg-own 1\.0, "):
        nnreg.load("run")
    assert nnreg.read_arrays("run")


def test_a_changed_formula_is_detected_on_loading(directory):
    class Other(Log):
        def encode(self, column):
            return 2 * super().encode(column)

    nnreg.run(document({"length": "log"}), out="run")
    with pytest.raises(CheckpointError, match=r"encoder 'log' of nnreg-own 1\.0, changed under"):
        nnreg.load("run", registry=registry({"log": dataclass(frozen=True)(Other)}))


@pytest.mark.parametrize("missing", ["impute", "indicate"])
def test_missing_values_are_replaced_before_it_gets_them(directory, missing):
    model = nnreg.run(document({"depth": "log"}, missing=missing))
    depth = model.preprocessing.inputs[2]
    assert depth.fill == pytest.approx(np.mean([5.5, 5.1, 2.2, 5, 2.9, 5.7, 2.5]))
    assert depth.shape == ((2,) if missing == "indicate" else (1,))
    encoded = model.preprocessing.encode(model.raw_rows.table(ROWS, ["island", "length", "depth"]))
    assert np.isfinite(encoded).all()
    if missing == "indicate":
        assert encoded[:, -1].tolist() == [1, 0]


def test_a_missing_value_is_refused_with_its_location_by_default(directory):
    with pytest.raises(DataError, match=r"data\.csv, line 4, column 'depth': the value is missing"):
        nnreg.build(document({"depth": "log"}, missing="refuse", exclude=["island"]))


def test_a_value_that_it_refuses_is_located(directory):
    model = nnreg.build(document({"length": "log"}))
    expected = r"row 1, column 'length': found -2, expected a number > -1"
    with pytest.raises(DataError, match=expected):
        model.predict([ROWS[0], {**ROWS[1], "length": -2}])


def test_tokens_are_integers_for_an_embedding(directory):
    (directory / "data.csv").write_text("text,y\n" + "a b,0\nb c,1\na,0\n007 b,1\n" * 4)
    data = {"source": "csv", "path": "data.csv", "target": "y", "columns": {"text": "three_tokens"}}
    layers = [{"type": "embedding", "vocabulary": 9, "units": 2}, "flatten",
              {"type": "dense", "units": 1}]  # fmt: skip
    spec = regressor(data=data, model={"layers": layers})
    model = nnreg.run(read_spec(spec, registry=registry()), out="run")
    assert model.preprocessing.inputs[0].encoder.words == ("007", "a", "b", "c")
    rows = {"text": ["c 007 a b", "unknown"]}
    table = model.raw_rows.table(rows, ["text"])
    assert model.preprocessing.encode(table, np.intp).tolist() == [[4, 1, 2], [0, 0, 0]]
    again = nnreg.load("run", registry=registry())
    np.testing.assert_array_equal(again.predict(rows), model.predict(rows))
    dense = regressor(data=data, model={"layers": [{"type": "dense", "units": 1}]})
    with pytest.raises(SpecError, match=r"columns\.text: its encoder gives integers, such as"):
        nnreg.build(read_spec(dense, registry=registry()))


def test_it_can_learn_from_the_target(directory):
    model = nnreg.run(document({"island": "plain_target_mean"}, exclude=["depth"]), out="run")
    assert model.preprocessing.inputs[0].encoder.means == {
        "north": pytest.approx(2 / 4), "south": pytest.approx(2 / 3)
    }  # fmt: skip
    again = nnreg.load("run", registry=registry())
    np.testing.assert_array_equal(again.predict(ROWS), model.predict(ROWS))


def test_what_it_learned_cannot_be_set_in_a_spec(directory):
    expected = r"columns\.length\.mean: unknown key 'mean', which is learned from the training rows"
    with pytest.raises(SpecError, match=expected):
        document({"length": {"type": "log", "mean": 1.0}})


def test_an_encoder_of_a_target_is_refused(directory):
    with pytest.raises(SpecError, match=r"columns\.species: 'species' is a target, which has"):
        nnreg.build(document({"species": "plain_target_mean"}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"std": 0}, r"inputs\[1\]\.std: must be greater than 0, found 0"),
        ({"std": None}, r"inputs\[1\]\.std: required, but not given"),
        ({"width": 1}, r"inputs\[1\]\.width: unknown key 'width'"),
        ({"fill": "x"}, r"fill: must be what the encoder takes, found 'x'"),
        ({"name": 1}, r"inputs\[1\]\.name: must be a valid string"),
        ({"type": "absent"}, r"inputs\[1\]: no encoder 'absent'"),
    ],
)
def test_a_checkpoint_is_validated(directory, change, message):
    nnreg.run(document({"length": "log"}), out="run")
    file = directory / "run" / "checkpoints" / "best.h5"
    saved = read_checkpoint(file)
    column = saved.document["preprocessing"]["inputs"][1]
    column |= change
    for key in [key for key, value in change.items() if value is None]:
        del column[key]
    write_checkpoint(directory / "changed.h5", saved)
    with pytest.raises(CheckpointError, match=message):
        nnreg.load(directory / "changed.h5", registry=registry())


class TestWrongEncoders:
    @pytest.mark.parametrize(
        ("method", "returned", "message"),
        [
            ("learn", None, r"Log\.learn returned None; expected a Log"),
            ("learn", Log(2.0), r"Log\.learn changed the option 'offset'"),
            ("learn", Log(mean=np.int64(3)), r"Log\.learn learned int64 .* as 'mean', which a"),
            ("learn", Log(mean=float("nan")), r"Log\.learn learned float nan as 'mean'"),
            ("encode", None, r"Log\.encode returned None; .* \(8, 1\); add a return statement"),
            ("encode", np.zeros((8, 2)), r"returned an array of shape \(8, 2\) and type float64"),
            ("encode", np.zeros(8, "U1"), r"expected an array of numbers of shape \(8, 1\)"),
        ],
    )
    def test_what_a_method_returns_is_checked(
        self, directory, monkeypatch, method, returned, message
    ):
        monkeypatch.setattr(Log, method, lambda self, column: returned)
        with pytest.raises(PluginError, match=f"encoder of 'length': .*{message}"):
            nnreg.run(document({"length": "log"}))

    def test_an_exception_is_an_error_that_names_the_method(self, directory, monkeypatch):
        monkeypatch.setattr(Log, "encode", lambda self, column: 1 / 0)
        expected = r"Log\.encode raised ZeroDivisionError: division by zero \(test_encoders\.py"
        with pytest.raises(PluginError, match=expected):
            nnreg.run(document({"length": "log"}))

    def test_nan_is_located(self, directory, monkeypatch):
        monkeypatch.setattr(Log, "encode", lambda self, column: column.values * np.nan)
        with pytest.raises(DataError, match=r"line 2, column 'length': its encoder returned NaN"):
            nnreg.run(document({"length": "log"}))

    @pytest.mark.parametrize("name", ["name", "fill", "indicator", "summary", "learn"])
    def test_an_option_with_the_name_of_a_key_of_a_column_is_refused(self, name):
        cls = dataclass(frozen=True)(
            type("Own", (Encoder,), {"__annotations__": {name: int}, name: 1})
        )
        with pytest.raises(AssertionError, match=f"whose option {name!r} has a name"):
            registry({"own": cls})


class TestBuiltIns:
    def test_options_of_a_column_precede_those_of_all(self, directory):
        columns = {
            "island": {"type": "category", "unseen": "ignore", "max_categories": 1},
            "length": {"type": "number", "scaling": "none"},
        }
        model = nnreg.build(document(columns))
        island, length, depth = (one.encoder for one in model.preprocessing.inputs)
        assert island == Category(1, "ignore", ("north",), ignore_unseen=True, other=True)
        assert length == Number("none", 0.0, 1.0)
        assert depth.scaling == "standard"

    def test_a_plugin_with_their_name_changes_no_column_that_does_not_name_it(self, directory):
        nnreg.run(document({}), out="run")
        same = registry({"number": Log, "category": Tokens})
        spec = classifier(data=csv_data(columns={"length": "nnreg-own:number"}))
        model = nnreg.run(read_spec(spec, registry=same), out="other")
        assert [type(one.encoder) for one in model.preprocessing.inputs] == [Category, Log, Number]
        assert nnreg.load("other", registry=same).preprocessing == model.preprocessing
        spec = {**spec, "data": csv_data(columns={"length": "number"}), "requires": []}
        own = registry({"number": Log})
        own.entries["encoder", "number"] = [
            replace(entry, origin="file") if entry.distribution == "nnreg-own" else entry
            for entry in own.entries["encoder", "number"]
        ]
        model = nnreg.run(read_spec(spec, registry=own), out="third")
        assert [type(one.encoder) for one in model.preprocessing.inputs] == [Category, Log, Number]
        assert nnreg.load("third", registry=own).preprocessing == model.preprocessing
        assert nnreg.load("run", registry=own).preprocessing.inputs[1].encoder.scaling == "standard"


def test_a_raw_column_is_made_of_values_for_tests():
    column = RawColumn.of([1, None, 3])
    np.testing.assert_array_equal(column.values, [1, np.nan, 3])
    assert column.missing.tolist() == [False, True, False]
    assert column.filled(2.0).values.tolist() == [1, 2, 3]
    text = RawColumn.of(["a", None, "b"], "text", target=[0, 1, 0])
    assert text.values.tolist() == ["a", None, "b"]
    assert text.filled("b").values.tolist() == ["a", "b", "b"]
    assert text.take(np.array([0, 2])).target.tolist() == [0, 0]
