"""Sequences from Parquet files and data frames, from programs, and from files read in chunks."""

import csv
import io
import json

import numpy as np
import pandas as pd
import pytest

import nnreg as library
from nnreg.builtin.sources import delimited_reader, parquet_file
from nnreg.errors import DataError, SpecError
from nnreg.tables.convert import table_of
from nnreg.tables.padded import Padded
from nnreg.tables.ragged import Ragged
from tests.helpers.sequences import PER_SEQUENCE, PER_STEP, prepare, spec

X = [[1.0, 2.0, 3.0], [4.0], [5.0, 6.0]]
KINDS = ["a", "b", "a"]


@pytest.fixture(autouse=True)
def directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def frames():
    pl = pytest.importorskip("polars")
    yield pd.DataFrame({"x": X, "kind": KINDS})
    yield pl.DataFrame({"x": X, "kind": KINDS})
    yield pl.DataFrame({"x": X, "kind": KINDS}).to_arrow()


def test_lists_in_data_frames_are_sequences():
    for frame in frames():
        column = table_of(frame).columns["x"]
        assert isinstance(column, Ragged)
        assert column.lengths.tolist() == [3, 1, 2]
        assert column.steps.tolist() == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("words", [False, True])
def test_lists_in_a_parquet_file_are_sequences_whatever_their_length_in_a_chunk(
    directory, monkeypatch, words
):
    monkeypatch.setattr(parquet_file, "ROWS", 2)
    lists = [[1, 2], [3, 4], [5, 6], [7, 8], [9], [1, 2, 3], [5, 5]]
    if words:
        lists = [[f"w{number}" for number in one] for one in lists]
    pytest.importorskip("pyarrow")
    pd.DataFrame({"x": lists, "kind": ["a", "b"] * 3 + ["a"]}).to_parquet("data.parquet")
    x = prepare(spec(PER_SEQUENCE, "parquet", "data.parquet", "kind")).train.x
    assert x.lengths.tolist() == [2, 2, 2, 2, 1, 3, 2]
    assert x.points.shape == (14, 9 if words else 1)


def test_a_missing_list_and_inner_lists_of_different_lengths_are_refused():
    pa = pytest.importorskip("pyarrow")
    with pytest.raises(DataError, match="column 'x': a list is missing"):
        table_of(pa.table({"x": [[1, 2], None, [3]]}))
    with pytest.raises(DataError, match="column 'x': lists within lists differ in length"):
        table_of(pa.table({"x": [[[1, 2]], [[3], [4, 5]]]}))


@pytest.mark.parametrize(
    "x",
    [X, [np.array(one) for one in X], Padded(np.eye(3), [3, 1, 2]), {"x": X}],
    ids=["lists", "arrays", "padded", "mapping"],
)
def test_a_program_may_pass_sequences(x):
    model = library.run(PER_SEQUENCE, data=(x, KINDS), out="out")
    assert model.preprocessing.steps == {"input": 3}
    assert library.load("out").predict(x).shape == (3, 2)


def test_a_program_may_pass_targets_per_step():
    library.run(PER_STEP, data=(X, [["p", "q", "p"], ["q"], ["p", "q"]]), out="out")
    model = library.load("out")
    assert [one.tolist() for one in model.classify(X[1:2])] == [
        model.classify({"x": X[1:2]})[0].tolist()
    ]
    loss = model.evaluate(X, [["p", "q", "p"], ["q"], ["p", "q"]])["loss"]
    assert loss == pytest.approx(model.history[-1]["loss"], rel=0.2)
    with pytest.raises(DataError, match="row 1: 2 targets for a sequence of 1 steps"):
        model.evaluate(X, [["p", "q", "p"], ["q", "q"], ["p", "q"]])


def test_rows_of_other_steps_are_refused_with_their_row():
    with pytest.raises(DataError, match=r"row 1: steps of shape \(2,\), but those before have sha"):
        table_of({"x": [np.ones((2, 3)), np.ones((1, 2))]})
    with pytest.raises(DataError, match="row 1: a list of text, but those before have numbers"):
        table_of({"x": [[1, 2], ["b"]]})


def test_files_read_in_chunks_are_predicted_and_evaluated_as_a_whole(directory, monkeypatch, nnreg):
    rng = np.random.default_rng(0)
    with open("data.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["x", "y"])
        for length in rng.integers(1, 6, 400):
            numbers = rng.normal(size=length).round(3).tolist()
            writer.writerow([json.dumps(numbers), json.dumps(["+-"[n < 0] for n in numbers])])
    library.run(spec(PER_STEP, "csv", "data.csv", "y"), out="out")
    whole = json.loads(nnreg("evaluate", "out", "data.csv", "--json")[1])["data"]
    lines = nnreg("predict", "out", "data.csv")[1]
    monkeypatch.setattr(delimited_reader, "BLOCK", 2000)
    monkeypatch.setattr(delimited_reader, "FIRST_BLOCK", 500)
    chunked = json.loads(nnreg("evaluate", "out", "data.csv", "--json")[1])["data"]
    assert chunked == pytest.approx(whole, rel=1e-12)
    again = [*csv.DictReader(io.StringIO(nnreg("predict", "out", "data.csv")[1]))]
    for row, other in zip(again, csv.DictReader(io.StringIO(lines)), strict=True):
        assert row["prediction"] == other["prediction"]
        np.testing.assert_allclose(*(json.loads(r["probability_+"]) for r in (row, other)), 1e-12)


def test_a_report_shows_the_step_of_an_error(directory, nnreg):
    rows = ['"[1, 2]","[""p"", ""q""]"', '[3],"[""p""]"', '"[2, 1]","[""q"", ""q""]"']
    (directory / "data.csv").write_text("\n".join(["x,tags", *rows]) + "\n")
    (directory / "spec.json").write_text(json.dumps(spec(PER_STEP, "csv", "data.csv", "tags")))
    assert nnreg("run", "spec.json", "--quiet", "--out", "out")[0] == 0
    page = (directory / "out" / "report.html").read_text()
    assert "Accuracy on 5 predictions for 3 training rows" in page
    assert "line 2, step 0" in page or "line 3, step 0" in page or "line 4, step" in page


def test_init_says_what_to_do_about_lists(directory, nnreg):
    (directory / "data.csv").write_text('x,kind\n"[1, 2]",a\n[3],b\n')
    code, _, err = nnreg("init", "data.csv")
    assert code != 0
    assert "'x' holds lists, the steps of sequences, for which a spec is written by hand" in err


def test_a_checkpoint_cannot_ask_for_more_steps_than_the_memory_has(directory, monkeypatch):
    model = library.run(PER_SEQUENCE, data=(X, KINDS), out="out")
    monkeypatch.setitem(model.preprocessing.steps, "input", 10**15)
    with pytest.raises(DataError, match="padded to 1,000,000,000,000,000 steps"):
        model.predict(X)


def test_a_layer_without_masks_is_refused_by_its_name():
    layers = [{"type": "flatten"}, *PER_SEQUENCE["model"]["layers"][1:]]
    with pytest.raises(SpecError, match=r"\$\.model\.layers\[0\]: Flatten does not support masks"):
        library.run({**PER_SEQUENCE, "model": {"layers": layers}}, data=(X, KINDS))
