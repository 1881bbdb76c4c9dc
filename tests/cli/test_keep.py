"""`nnreg predict --keep` copies columns of the data to the output."""

import csv
import io
import json

import numpy as np
import pytest

import nnreg as library
from nnreg.builtin.sources import delimited_reader
from nnreg.data import observations
from tests.helpers.sequences import PER_SEQUENCE, PER_STEP, spec
from tests.helpers.specs import classifier

ROWS = [("007", "2024-01-05", "1.50", "a"), ("8", "", "2.25", "b"), ("007", "n/d", "1e1", "a")]
OUTPUT = {"type": "dense", "units": "classes", "activation": "softmax"}


def table(delimiter=",", rows=ROWS):
    lines = [("id", "day", "x", "kind"), *rows]
    return "".join(delimiter.join(line) + "\n" for line in lines)


def train(directory, text=None, out="out", **data):
    (directory / "data.csv").write_text(table(rows=ROWS * 4) if text is None else text)
    section = {"source": "csv", "path": "data.csv", "target": "kind", "inputs": ["x"], **data}
    document = classifier(data=section, model={"layers": [OUTPUT]}, train={"epochs": 1})
    library.run(document, out=out)


@pytest.fixture
def directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train(tmp_path)
    (tmp_path / "new.csv").write_text(table())
    return tmp_path


def read(text):
    return list(csv.reader(io.StringIO(text)))


def test_it_copies_text_as_it_stands_before_the_predictions(directory, nnreg):
    plain = read(nnreg("predict", "out", "new.csv")[1])
    code, out, _ = nnreg(
        "predict", "out", "new.csv", "--keep", "day", "--keep", "id", "--keep", "x"
    )
    assert code == 0
    kept = [("day", "id", "x"), *((day, number, x) for number, day, x, _ in ROWS)]
    assert read(out) == [[*cells, *row] for cells, row in zip(kept, plain, strict=True)]
    found = json.loads(nnreg("predict", "out", "new.csv", "--keep", "day", "--json")[1])
    assert [list(row)[:2] for row in found] == [["day", "prediction"]] * 3
    assert [row["day"] for row in found] == ["2024-01-05", None, "n/d"]


def test_chunks_and_decimal_commas(directory, nnreg, monkeypatch):
    rows = [(str(n), "", f"{n / 2}".replace(".", ","), "ab"[n % 2]) for n in range(500)]
    source = {"type": "csv", "delimiter": ";", "decimal": ","}
    train(directory, table(";", rows), "commas", source=source)
    plain = read(nnreg("predict", "commas", "data.csv")[1])
    monkeypatch.setattr(delimited_reader, "BLOCK", 512)
    monkeypatch.setattr(delimited_reader, "FIRST_BLOCK", 512)
    found = read(nnreg("predict", "commas", "data.csv", "--keep", "x")[1])
    assert [row[0] for row in found[1:]] == [row[2] for row in rows]
    assert [row[1:] for row in found] == plain


def test_a_column_that_is_in_the_output_or_not_in_the_data_is_refused(directory, nnreg):
    code, out, err = nnreg("predict", "out", "new.csv", "--keep", "dya")
    assert (code, out) == (1, "")
    assert "no column 'dya'; did you mean 'day'?" in err
    (directory / "new.csv").write_text(table().replace("day", "prediction"))
    code, out, err = nnreg("predict", "out", "new.csv", "--keep", "prediction", "--out", "p.csv")
    assert code == 2
    assert "the output has a column 'prediction' already; leave out --keep prediction" in err
    assert not (directory / "p.csv").exists()


def test_columns_of_numbers_in_other_formats_are_text(directory, nnreg):
    np.savez("new.npz", x=[1.5, 2.0], code=np.array(["07", "NA"]), many=np.ones((2, 3)))
    code, out, _ = nnreg("predict", "out", "new.npz", "--keep", "x", "--keep", "code")
    assert [row[:2] for row in read(out)] == [["x", "code"], ["1.5", "07"], ["2", "NA"]]
    code, _, err = nnreg("predict", "out", "new.npz", "--keep", "many")
    assert code == 1
    assert "column 'many' has shape (2, 3); expected one value per row" in err


def test_sequences_that_are_grouped_keep_one_value_for_each(tmp_path, monkeypatch, nnreg):
    monkeypatch.chdir(tmp_path)
    text = "patient,dose,sex,event\np2,1,f,x\np1,2,m,y\np2,3,f,x\np3,4,f,y\n"
    (tmp_path / "data.csv").write_text(text)
    data = {"inputs": ["dose"], "sequences": {"group": "patient", "constant": ["event"]}}
    library.run(spec(PER_SEQUENCE, "csv", "data.csv", "event", **data), out="once")
    found = read(nnreg("predict", "once", "data.csv", "--keep", "sex")[1])
    expected = [["patient", "sex"], ["p2", "f"], ["p1", "m"], ["p3", "f"]]
    assert [row[:2] for row in found] == expected
    code, _, err = nnreg("predict", "once", "data.csv", "--keep", "dose")
    assert code == 1
    assert "line 4, column 'dose': another value than in line 2" in err
    assert nnreg("predict", "once", "data.csv", "--keep", "patient")[0] == 2
    data = {"inputs": ["dose"], "sequences": {"group": "patient"}}
    library.run(spec(PER_STEP, "csv", "data.csv", "event", **data), out="each")
    found = read(nnreg("predict", "each", "data.csv", "--keep", "patient", "--keep", "dose")[1])
    assert [row[:2] for row in found[1:]] == [["p2", "1"], ["p1", "2"], ["p2", "3"], ["p3", "4"]]


@pytest.mark.parametrize("options", [[], ["--json"], ["--out", "p.csv"]])
def test_a_warning_that_is_an_error_leaves_nothing_written(directory, nnreg, monkeypatch, options):
    def fail(text, category, stacklevel):
        raise library.DataError(text)

    (directory / "new.csv").write_text(table(rows=[("1", "", "1e9", "a")]))
    code, _, err = nnreg("predict", "out", "new.csv", *options)
    assert code == 0
    assert err.count("far outside the range seen in training (1.5 to 10), up to 1,000,000,000") == 1
    (directory / "p.csv").unlink(missing_ok=True)
    monkeypatch.setattr(observations.warnings, "warn", fail)
    assert nnreg("predict", "out", "new.csv", *options)[:2] == (1, "")
    assert not (directory / "p.csv").exists()
