"""Training on CSV and Parquet files whose inputs stay there."""

import dataclasses
import json
import os
import warnings

import numpy as np
import pytest

import nnreg
import nnreg.tables.lazy
import nnreg.tables.stored
from nnreg import DataError, SpecError
from nnreg.builtin.sources import delimited_reader, parquet_file
from nnreg.builtin.sources.delimited import Csv
from nnreg.builtin.sources.parquet import Parquet
from nnreg.errors import NnregWarning
from nnreg.runs.prepare import prepare_from_spec
from nnreg.spec.document import read_spec
from nnreg.tables.lazy import LazyArray, materialize
from nnreg.testing.sources import SourceCase, changed_file, rows_on_demand
from nnreg.training import epoch as epochs
from tests.data.lazy.stored import readers
from tests.helpers.specs import classifier

ROWS = 250
REASON = "pyarrow is not installed; it comes with the extra 'verify'"
SPLIT = {"validation": 0.2, "test": 0.1}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Read a few rows at once."""
    monkeypatch.setattr(nnreg.tables.stored, "BLOCK", 64)
    monkeypatch.setattr(delimited_reader, "BLOCK", 300)
    monkeypatch.setattr(delimited_reader, "MIN_BLOCK_LINES", 1)
    monkeypatch.setattr(delimited_reader, "FIRST_BLOCK", 100)
    monkeypatch.setattr(parquet_file, "ROWS", 7)


def columns(rows=ROWS):
    """Return columns of every type, with missing values and lines within cells."""
    rng = np.random.default_rng(0)
    a = rng.normal(5, 3, rows).round(4)
    towns = ["ulm", "bonn", "jena", "a\nb", '"x", y']
    town = rng.integers(0, len(towns), rows)
    b = rng.integers(-20, 20, rows).astype(float)
    b[rng.random(rows) < 0.05] = np.nan
    label = np.where(a + 2 * (town == 1) > 5, "high", "low")
    return {
        "a": a.tolist(),
        "b": [None if np.isnan(one) else int(one) for one in b],
        "town": [None if rng.random() < 0.03 else towns[one] for one in town],
        "code": [f"{one:03}" for one in rng.integers(0, 30, rows)],
        "weight": rng.random(rows).round(3).tolist(),
        "group": [f"g{one}" for one in rng.integers(0, 40, rows)],
        "day": [f"2024-{1 + one % 12:02}-{1 + one % 28:02}" for one in range(rows)],
        "label": label.tolist(),
    }


def cell(value):
    text = "" if value is None else str(value)
    return '"' + text.replace('"', '""') + '"' if {*text} & {*',"\n'} else text


def write_csv(path, table):
    rows = zip(*table.values(), strict=True)
    lines = [",".join(map(cell, row)) for row in [[*table], *rows]]
    path.write_text("\n".join(lines) + "\n")


def write_parquet(path, table, groups=33):
    parquet = pytest.importorskip("pyarrow.parquet", reason=REASON)
    import pyarrow

    parquet.write_table(pyarrow.table(table), path, row_group_size=groups)


WRITE = {"csv": write_csv, "parquet": write_parquet}
SOURCES = {"csv": Csv, "parquet": Parquet}


@pytest.fixture(params=["csv", pytest.param("parquet", marks=pytest.mark.verify)])
def kind(request, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    WRITE[request.param](tmp_path / f"d.{request.param}", columns())
    return request.param


def spec(kind, stream=True, *, data=None, **changes):
    section = {
        "source": {"type": kind, "stream": stream},
        "path": f"d.{kind}",
        "target": "label",
        "columns": {"code": "category"},
        "exclude": ["weight", "group", "day"],
        "missing": "indicate",
        "split": SPLIT,
        **(data or {}),
    }
    train = {"epochs": 2, "batch_size": 7, "shuffle": False}
    return classifier(data=section, **{"train": train, **changes})


def prepared(*args, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NnregWarning)
        return prepare_from_spec(read_spec(spec(*args, **kwargs)))


def trained(run):
    """Return the weights after training."""
    list(run.model.trainer(run.train, run.validation).epochs())
    assert not readers()
    return run.model.network.vector.tobytes()


FORMS = {
    "plain": {},
    "impute": {"missing": "impute"},
    "weights": {"sample_weights": "weight", "exclude": ["group", "day"]},
    "class weights": {"class_weights": "balanced"},
    "groups": {"split": {**SPLIT, "group": "group"}, "exclude": ["weight", "day"]},
    "stratified": {"split": {**SPLIT, "stratify": True}, "unseen": "ignore"},
    "in order": {"split": {**SPLIT, "order": "day"}, "exclude": ["weight", "group"]},
    "min_max": {"scaling": "min_max"},
    "none": {"scaling": "none"},
    "robust": {"scaling": "robust"},
    "quantile": {"scaling": "quantile"},
    "piecewise": {"numbers": {"type": "piecewise_linear", "bins": 4}},
    "dates": {"columns": {"day": "date"}, "exclude": ["weight", "group"]},
    "hash": {"columns": {"code": {"type": "hashed", "size": 5}}},
    "rare": {"max_categories": 3, "columns": {"code": {"type": "category", "min_rows": 9}}},
    "numeric target": {"target": "a", "target_scaling": "standard"},
}


QUICK = ("plain", "impute", "dates")
"""The forms that are tested in every run of the tests."""


class TestEqualToMemory:
    @pytest.mark.parametrize("check", [rows_on_demand, changed_file])
    def test_rows_read_on_demand_pass_the_conformance_checks(self, kind, check):
        with open(f"d.{kind}", "rb") as file:
            check(SourceCase(SOURCES[kind](stream=True), file.read()))

    @pytest.mark.parametrize(
        "form",
        [pytest.param(one, marks=() if one in QUICK else pytest.mark.slow) for one in FORMS],
    )
    def test_what_is_learned_and_trained_is_bit_identical(self, kind, form):
        data = FORMS[form]
        changes = {}
        if "target" in data:
            layers = [{"type": "dense", "units": 1}]
            changes = {"model": {"layers": layers}, "loss": "mean_squared_error", "metrics": ["r2"]}
        stored, memory = (prepared(kind, one, data=data, **changes) for one in (True, False))
        assert isinstance(stored.train.x, LazyArray)
        assert not isinstance(memory.train.x, LazyArray)
        assert stored.model.preprocessing == memory.model.preprocessing
        for name in ("train", "validation", "test"):
            found, expected = stored.splits[name], memory.splits[name]
            assert materialize(found.x).tobytes() == expected.x.tobytes()
            np.testing.assert_array_equal(found.targets, expected.targets)
            np.testing.assert_array_equal(found.weights, expected.weights)
        assert trained(stored) == trained(memory)
        found, expected = stored.evaluate(), memory.evaluate()
        for name in found:  # whose products are of other numbers of rows
            assert found[name] == pytest.approx(expected[name], rel=1e-5)

    def test_shuffled_epochs_are_those_of_memory_in_the_order_of_windows(self, kind, monkeypatch):
        train = {"epochs": 2, "batch_size": 7}
        stored, memory = (prepared(kind, one, train=train) for one in (True, False))
        monkeypatch.setattr(
            "nnreg.training.trainer.order_of",
            lambda _, *rest: epochs.order_of(stored.train, *rest),
        )
        order = epochs.order_of(stored.train, stored.model.spec.train, 0, 1)
        np.testing.assert_array_equal(np.sort(order), np.arange(len(stored.train)))
        assert np.mean(np.abs(np.diff(order)) == 1) < 0.1
        assert trained(stored) == trained(memory)

    def test_an_epoch_resumed_in_its_middle_is_bit_identical(self, kind):
        train = {"epochs": 2, "batch_size": 7}
        expected = trained(prepared(kind, train=train))
        run = prepared(kind, train=train)
        steps = run.model.trainer(run.train, run.validation).iterate(lambda: True)
        for _ in range(15):
            next(steps)
        steps.close()
        assert run.model.training_state.epoch_state.seen == 105
        assert trained(run) == expected

    @pytest.mark.parametrize("threads", [1, 2])
    def test_results_do_not_depend_on_the_number_of_threads(self, kind, threads):
        train = {"epochs": 2, "batch_size": 60, "shards": 2}
        expected = trained(prepared(kind, train=train))
        assert trained(prepared(kind, train={**train, "threads": threads})) == expected

    def test_several_files_of_a_pattern_are_one_table(self, kind, tmp_path):
        whole = columns()
        for number, rows in enumerate((slice(0, 90), slice(90, 91), slice(91, ROWS))):
            part = {name: values[rows] for name, values in whole.items()}
            WRITE[kind](tmp_path / f"part-{number}.{kind}", part)
        several = {"path": f"part-*.{kind}"}
        assert trained(prepared(kind, data=several)) == trained(prepared(kind))

    def test_held_out_files_stay_in_their_file_too(self, kind, tmp_path):
        WRITE[kind](tmp_path / f"held-out.{kind}", columns(50))
        split = {"split": {"validation": f"held-out.{kind}"}}
        stored, memory = (prepared(kind, one, data=split) for one in (True, False))
        assert isinstance(stored.validation.x, LazyArray)
        assert trained(stored) == trained(memory)

    def test_folds_are_those_of_memory(self, kind):
        train = {"epochs": 1, "batch_size": 7, "shuffle": False, "folds": 3, "fold": 2}
        data = {"split": {}}
        stored, memory = (prepared(kind, one, data=data, train=train) for one in (True, False))
        assert trained(stored) == trained(memory)

    def test_rows_without_a_target_are_dropped(self, kind, tmp_path):
        table = columns()
        table["label"][3] = table["label"][100] = None
        WRITE[kind](tmp_path / f"d.{kind}", table)
        data = {"missing_target": "drop"}
        stored, memory = (prepared(kind, one, data=data) for one in (True, False))
        assert trained(stored) == trained(memory)


class TestTypes:
    """A column's type is decided by all rows of the file."""

    def test_a_word_after_many_numbers_is_reported_as_in_memory(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        table = columns()
        table["b"][-2] = "many"
        write_csv(tmp_path / "d.csv", table)
        errors = []
        for stream in (True, False):
            with pytest.raises(DataError, match="found 'many' among numbers") as caught:
                prepared("csv", stream)
            errors.append(str(caught.value))
        assert errors[0] == errors[1]

    def test_a_column_of_words_after_missing_values_is_categories(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        table = columns()
        table["town"][:120] = [None] * 120
        write_csv(tmp_path / "d.csv", table)
        assert trained(prepared("csv")) == trained(prepared("csv", False))

    def test_quantiles_of_many_rows_are_those_of_a_sample(self, kind, monkeypatch):
        monkeypatch.setattr("nnreg.data.fitting_in_parts.MAX_SAMPLED", 100)
        stored, memory = prepared(kind), prepared(kind, False)
        for one, other in zip(
            stored.model.preprocessing.inputs, memory.model.preprocessing.inputs, strict=True
        ):
            without = (dataclasses.replace(column, summary=None) for column in (one, other))
            assert next(without) == next(without)
            assert one.summary.min == other.summary.min
            assert one.summary.max == other.summary.max
            assert one.summary.rows == other.summary.rows
        found, exact = (run.model.preprocessing.inputs[0].summary for run in (stored, memory))
        assert found.quantiles != exact.quantiles
        assert found.quantiles == pytest.approx(exact.quantiles, abs=4)

    def test_too_many_texts_need_an_encoder(self, kind, monkeypatch):
        monkeypatch.setattr("nnreg.tables.text_counts.MAX_TEXTS", 12)
        with pytest.raises(DataError, match=r"'code' has more than .* different texts"):
            prepared(kind)
        with pytest.raises(DataError, match=r"'group' has more than .* set its encoder"):
            prepared(kind, data={"exclude": ["weight", "day"]})
        hashed = {"columns": {"code": {"type": "hashed", "size": 5}}}
        assert trained(prepared(kind, data=hashed)) == trained(prepared(kind, False, data=hashed))


class TestReports:
    def test_the_run_records_that_rows_stayed_in_their_file(self, kind, tmp_path):
        nnreg.run(spec(kind), out="out")
        assert json.loads((tmp_path / "out/summary.json").read_text())["streamed"] is True

    def test_auto_streams_a_large_table_with_a_warning(self, kind, monkeypatch):
        monkeypatch.setattr("nnreg.data.streaming.exceeds_memory", lambda *_: True)
        with pytest.warns(NnregWarning, match="more than a fifth of it, so that rows stay"):
            run = prepare_from_spec(read_spec(spec(kind, "auto", data={"missing": "indicate"})))
        assert isinstance(run.train.x, LazyArray)
        monkeypatch.setattr("nnreg.data.streaming.exceeds_memory", lambda *_: False)
        assert not isinstance(prepared(kind, "auto").train.x, LazyArray)

    def test_auto_reads_a_large_table_with_lists_to_memory(self, kind, tmp_path, monkeypatch):
        monkeypatch.setattr("nnreg.data.streaming.exceeds_memory", lambda *_: True)
        steps = [[1.5, 2.0], [3.0]]
        lists = [json.dumps(one) for one in steps] if kind == "csv" else steps
        WRITE[kind](tmp_path / f"d.{kind}", {"steps": lists * 20, "label": ["a", "b"] * 20})
        last = {"type": "dense", "units": "classes", "activation": "softmax"}
        changes = {"model": {"layers": [{"type": "lstm", "units": 2}, last]}}
        data = {"columns": {}, "exclude": [], "split": {}}
        assert trained(prepared(kind, "auto", data=data, **changes)) == trained(
            prepared(kind, False, data=data, **changes)
        )
        with pytest.raises(DataError, match="'steps' has sequences, or several"):
            prepared(kind, True, data=data, **changes)

    def test_lists_that_are_not_used_do_not_keep_a_large_table_in_memory(
        self, kind, tmp_path, monkeypatch
    ):
        monkeypatch.setattr("nnreg.data.streaming.exceeds_memory", lambda *_: True)
        lists = ["[1, 2]", "[3]"] if kind == "csv" else [[1, 2], [3]]
        table = {"x": [*range(40)], "steps": lists * 20, "label": ["a", "b"] * 20}
        WRITE[kind](tmp_path / f"d.{kind}", table)
        for used in ({"exclude": ["steps"]}, {"inputs": "x", "exclude": []}):
            data = {"columns": {}, "split": {}, **used}
            assert isinstance(prepared(kind, "auto", data=data).train.x, LazyArray)

    @pytest.mark.parametrize(
        ("data", "reason"),
        [
            ({"inputs": {"left": "a", "right": "b"}}, "several inputs"),
            ({"columns": {"code": "target_mean"}}, "encoder of column 'code' needs all rows"),
            ({"sequences": {"group": "group"}}, "sequences and windows"),
        ],
    )
    def test_what_needs_all_rows_is_refused_with_the_reason(self, kind, data, reason):
        layers = [{"type": "dense", "units": "classes", "activation": "softmax"}]
        if "inputs" in data:
            layers = [{"type": "concat", "inputs": ["left", "right"]}, *layers]
        with pytest.raises(SpecError, match=rf"data\.source\.stream: .*{reason}.*set it to false"):
            prepared(kind, data=data, model={"layers": layers})

    def test_a_compressed_file_is_refused(self, tmp_path, monkeypatch):
        import gzip

        monkeypatch.chdir(tmp_path)
        write_csv(tmp_path / "d.csv", columns())
        (tmp_path / "d.csv").write_bytes(gzip.compress((tmp_path / "d.csv").read_bytes()))
        with pytest.raises(DataError, match=r"d\.csv: is compressed with gzip"):
            prepared("csv")
        assert not isinstance(prepared("csv", "auto").train.x, LazyArray)

    def test_a_broken_row_is_reported_with_its_line(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        table = {name: values[:200] for name, values in columns().items() if name != "town"}
        write_csv(tmp_path / "d.csv", table)
        with open("d.csv", "a") as file:
            file.write("1,2\n")
        with pytest.raises(DataError, match=r"d\.csv, line 202: 2 cells, but the header has 7"):
            prepared("csv")

    @pytest.mark.parametrize("split_name", ["train", "validation", "test"])
    def test_a_bad_value_is_reported_with_its_place_before_anything_is_written(
        self, kind, tmp_path, split_name
    ):
        row = int(prepared(kind).splits[split_name].x.rows[-1])
        table = columns()
        table["town"] = ["ulm"] * ROWS
        table["a"][row] = None
        WRITE[kind](tmp_path / f"d.{kind}", table)
        complete = {"missing": "refuse", "exclude": ["weight", "group", "day", "b"]}
        where = f"line {row + 2}" if kind == "csv" else f"row {row}"
        with pytest.raises(DataError, match=rf"d\.{kind}, {where}, column 'a': the value is miss"):
            nnreg.run(spec(kind, data=complete), out="out")
        assert not os.path.exists("out")
        assert not readers()

    def test_a_file_that_changes_during_training_is_reported(self, kind, tmp_path):
        run = prepared(kind)
        records = run.model.trainer(run.train, run.validation).epochs()
        next(records)
        WRITE[kind](tmp_path / f"d.{kind}", columns(ROWS - 1))
        with pytest.raises(DataError, match=rf"d\.{kind}: the file has changed since"):
            next(records)
        assert not readers()


def test_predict_and_evaluate_read_such_files(kind, nnreg):
    code, _, err = nnreg("run", *[_written(spec(kind))], "--out", "out")
    assert code == 0, err
    code, out, err = nnreg("predict", "out", f"d.{kind}")
    assert code == 0, err
    assert len(out.splitlines()) == ROWS + 1
    code, out, err = nnreg("evaluate", "out", f"d.{kind}")
    assert code == 0, err
    assert "accuracy" in out


def _written(document):
    with open("spec.json", "w") as file:
        json.dump(document, file)
    return "spec.json"
