"""`predict` and `evaluate` on files of any length: read in chunks, written atomically."""

import csv
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

import nnreg as library
from nnreg.builtin.sources import delimited_reader
from nnreg.errors import NnregWarning
from tests.helpers.specs import classifier
from tests.helpers.work import HANG_SECONDS

ROWS = 3000


@pytest.fixture
def directory(tmp_path, monkeypatch):
    """Train on a few rows; `long.csv` has many, which are read in many chunks."""
    monkeypatch.chdir(tmp_path)
    write("data.csv", 200)
    write("long.csv", ROWS)
    data = {"source": "csv", "path": "data.csv", "target": "sign", "columns": {"code": "category"}}
    model = {"layers": [{"type": "dense", "units": "classes", "activation": "softmax"}]}
    spec = classifier(data=data, model=model, train={"epochs": 3})
    library.run(spec, out="out")
    monkeypatch.setattr(delimited_reader, "BLOCK", 4096)
    return tmp_path


def write(path, rows):
    """Write rows with a categorical column whose values look like numbers."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 2))
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["a", "b", "code", "sign"])
        for a, b in x:
            writer.writerow(
                [f"{a:.4f}", f"{b:.4f}", "007" if b > 0 else "7", "-" if a < 0 else "+"]
            )


def read(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_a_file_read_in_many_chunks_is_predicted_row_by_row(directory, nnreg):
    assert nnreg("predict", "out", "long.csv", "--out", "predictions.csv")[0] == 0
    predictions, rows = read("predictions.csv"), read("long.csv")
    assert len(predictions) == ROWS
    model = library.load("out")
    assert [row["prediction"] for row in predictions] == model.classify(rows).tolist()
    probabilities = [
        [float(row["probability_+"]), float(row["probability_-"])] for row in predictions
    ]
    np.testing.assert_allclose(probabilities, model.predict(rows), rtol=1e-5)


def test_a_file_read_in_many_chunks_is_evaluated_as_a_whole(directory, nnreg):
    found = json.loads(nnreg("evaluate", "out", "long.csv", "--json")[1])
    rows = read("long.csv")
    whole = library.load("out").evaluate(rows, [row["sign"] for row in rows])
    assert found["data"] == pytest.approx(whole)


@pytest.mark.parametrize("command", [["predict"], ["predict", "--json"], ["evaluate"]])
@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("x,1,7,+", "line 2902, column 'a': found 'x', expected a number"),
        ("1,1,07,+", r"line 2902, column 'code': unknown category '07'"),
        ("1,1", "line 2902: 2 cells, but the header has 4"),
    ],
)
def test_an_invalid_row_late_in_a_file_prints_nothing_and_changes_no_file(
    directory, nnreg, command, line, message
):
    lines = (directory / "long.csv").read_text().splitlines()
    lines[2901] = line
    (directory / "long.csv").write_text("\n".join(lines))
    (directory / "predictions.csv").write_text("as before")
    name, *options = command
    targets = [[], ["--out", "predictions.csv"]] if name == "predict" else [[]]
    for target in targets:
        code, out, err = nnreg(name, "out", "long.csv", *options, *target)
        assert (code, out) == (1, "")
        assert re.search(message, err)
    assert (directory / "predictions.csv").read_text() == "as before"
    assert not list(directory.glob(".*.tmp"))


def test_a_file_of_another_format_is_read_by_its_suffix(directory, nnreg):
    predictions = nnreg("predict", "out", "data.csv")[1]
    (directory / "data.tsv").write_text((directory / "data.csv").read_text().replace(",", "\t"))
    rows = read("data.csv")
    columns = {name: [float(row[name]) for row in rows] for name in "ab"}
    np.savez("data.npz", code=[row["code"] for row in rows], **columns)
    for name in ("data.tsv", "data.npz"):
        assert nnreg("predict", "out", name)[1] == predictions


def test_a_missing_column_is_reported_with_the_expected_ones(directory, nnreg):
    (directory / "few.csv").write_text("a,sign\n1,+\n")
    code, out, err = nnreg("predict", "out", "few.csv")
    assert (code, out) == (1, "")
    assert err == "error: few.csv: no column 'b'; the model expects a, b, code\n"
    (directory / "near.csv").write_text("a,bb,code,sign\n1,1,7,+\n")
    assert "no column 'b'; did you mean 'bb'?" in nnreg("predict", "out", "near.csv")[2]


def test_rows_without_the_target_can_be_predicted_but_not_evaluated(directory, nnreg):
    (directory / "new.csv").write_text("a,b,code\n1,1,7\n")
    assert nnreg("predict", "out", "new.csv")[0] == 0
    code, _, err = nnreg("evaluate", "out", "new.csv")
    assert code == 1
    assert "new.csv: the target column 'sign' is missing; without targets, use predict" in err


def test_json_can_be_written_to_a_file(directory, nnreg):
    printed = nnreg("predict", "out", "data.csv", "--json")[1]
    assert nnreg("predict", "out", "data.csv", "--json", "--out", "predictions.json")[1] == ""
    assert (directory / "predictions.json").read_text() == printed
    assert len(json.loads(printed)) == 200


def test_a_missing_directory_is_reported_before_predicting(directory, nnreg):
    code, out, err = nnreg("predict", "out", "data.csv", "--out", "no/predictions.csv")
    assert (code, out) == (2, "")
    assert "no/predictions.csv: no directory no; create it first" in err


def test_a_file_that_is_not_regular_is_written_to_and_kept(directory, nnreg):
    os.mkfifo("pipe")
    reader = subprocess.Popen(["cat", "pipe"], stdout=subprocess.PIPE)
    assert nnreg("predict", "out", "data.csv", "--out", "pipe")[0] == 0
    assert reader.communicate(timeout=HANG_SECONDS)[0].startswith(b"prediction,")
    assert (directory / "pipe").is_fifo()


def test_only_a_terminal_gets_a_progress_bar(directory, nnreg, monkeypatch):
    assert nnreg("predict", "out", "long.csv")[2] == ""
    monkeypatch.setattr("nnreg.cli._data_chunks.animated", lambda stream: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    (directory / "[").mkdir()
    (directory / "long.csv").rename("[/long].csv")  # rich would read it as a tag
    code, out, err = nnreg("predict", "out", "[/long].csv")
    assert code == 0
    assert "[/long].csv" in err
    assert "━" in err
    assert "━" not in out


MEASURE_MEMORY = """
import resource, sys
from nnreg.cli.app import main
try:
    main(sys.argv[1:])
finally:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="others count memory in other units")
def test_two_million_rows_are_predicted_in_the_memory_of_a_few(directory):
    head, rows = (directory / "long.csv").read_text().split("\n", 1)
    peaks = {}
    for times in (10, 2_000_000 // ROWS):
        with open("longer.csv", "w") as file:
            file.write(f"{head}\n")
            file.writelines(rows for _ in range(times))
        command = [
            sys.executable,
            "-c",
            MEASURE_MEMORY,
            "predict",
            "out",
            "longer.csv",
            "--out",
            "a.csv",
        ]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        peaks[times] = int(done.stderr.splitlines()[-1]) * 1024
        with open("a.csv") as file:
            assert sum(1 for _ in file) == ROWS * times + 1
    few, many = peaks.values()
    assert many - few < 20e6  # the predictions alone are 80 MB


@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_unknown_categories_in_many_chunks_are_counted_over_the_file(directory, nnreg, command):
    spec = json.loads((directory / "out" / "spec.json").read_text())
    spec["data"]["unseen"] = "ignore"
    library.run(spec, out="ignoring")
    lines = (directory / "long.csv").read_text().splitlines()
    for place in (1, 1500, 2900):
        lines[place] = "1,1,07,+"
    (directory / "long.csv").write_text("\n".join(lines) + "\n")
    code, _, err = nnreg(command, "ignoring", "long.csv")
    assert code == 0, err
    assert err.count("unknown category") == 1
    assert "line 2, column 'code': unknown category '07', the first of 3 in 3000 rows" in err


def test_a_loss_that_is_not_finite_is_reported(directory, nnreg):
    (directory / "extreme.csv").write_text("a,b,code,sign\n3e38,-3e38,7,+\n1,1,7,-\n")
    model = library.load("out")
    for weight in model.parameters.values():
        weight[...] = 3e38
    library.save(model, "huge.h5")
    code, out, err = nnreg("evaluate", "huge.h5", "extreme.csv", "--json")
    assert code == 0, err
    assert json.loads(out)["data"]["loss"] == "NaN"
    assert err.count("loss is nan; look for extreme values in the data and in the weights") == 1
    rows = {"a": [3e38, 1], "b": [-3e38, 1], "code": ["7", "7"]}
    with (
        pytest.warns(NnregWarning, match="loss is nan"),
        pytest.warns(library.DataDriftWarning, match=r"column 'a': 1 of 2 rows is far outside"),
    ):
        model.evaluate(rows, ["+", "-"])
