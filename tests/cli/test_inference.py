"""`predict` and `evaluate` over files of any length: a piece at a time, and all answers or none."""

import csv
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

import nnreg as library
from nnreg.builtin.sources import delimited
from tests.helpers.specs import classifier

ROWS = 3000


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Train on a few rows; `long.csv` has many, which are read in many pieces."""
    monkeypatch.chdir(tmp_path)
    write("data.csv", 200)
    write("long.csv", ROWS)
    data = {"source": "csv", "path": "data.csv", "target": "sign", "columns": {"code": "category"}}
    model = {"layers": [{"type": "dense", "units": "classes", "activation": "softmax"}]}
    spec = classifier(data=data, model=model, train={"epochs": 3})
    library.run(spec, out="out")
    monkeypatch.setattr(delimited, "BLOCK", 4096)
    return tmp_path


def write(path, rows):
    """Write rows of which some hold what looks like a number and is none."""
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


def test_a_file_in_many_pieces_is_predicted_row_by_row(folder, nnreg):
    assert nnreg("predict", "out", "long.csv", "--out", "answers.csv")[0] == 0
    answers, rows = read("answers.csv"), read("long.csv")
    assert len(answers) == ROWS
    model = library.load("out")
    assert [a["prediction"] for a in answers] == model.classify(rows).tolist()
    probabilities = [[float(a["probability_+"]), float(a["probability_-"])] for a in answers]
    np.testing.assert_allclose(probabilities, model.predict(rows), rtol=1e-5)


def test_a_file_in_many_pieces_is_measured_as_a_whole(folder, nnreg):
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
def test_a_bad_row_far_down_prints_nothing_and_leaves_files_alone(
    folder, nnreg, command, line, message
):
    lines = (folder / "long.csv").read_text().splitlines()
    lines[2901] = line
    (folder / "long.csv").write_text("\n".join(lines))
    (folder / "answers.csv").write_text("as before")
    name, *options = command
    targets = [[], ["--out", "answers.csv"]] if name == "predict" else [[]]
    for target in targets:
        code, out, err = nnreg(name, "out", "long.csv", *options, *target)
        assert (code, out) == (1, "")
        assert re.search(message, err)
    assert (folder / "answers.csv").read_text() == "as before"
    assert not list(folder.glob(".*.tmp"))


def test_a_file_of_another_format_is_read_as_what_its_name_says(folder, nnreg):
    answers = nnreg("predict", "out", "data.csv")[1]
    (folder / "data.tsv").write_text((folder / "data.csv").read_text().replace(",", "\t"))
    rows = read("data.csv")
    columns = {name: [float(row[name]) for row in rows] for name in "ab"}
    np.savez("data.npz", code=[row["code"] for row in rows], **columns)
    for name in ("data.tsv", "data.npz"):
        assert nnreg("predict", "out", name)[1] == answers


def test_a_column_that_the_file_lacks_is_told_with_those_that_are_taken(folder, nnreg):
    (folder / "few.csv").write_text("a,sign\n1,+\n")
    code, out, err = nnreg("predict", "out", "few.csv")
    assert (code, out) == (1, "")
    assert err == "error: few.csv: no column 'b'; the model expects a, b, code\n"
    (folder / "near.csv").write_text("a,bb,code,sign\n1,1,7,+\n")
    assert "no column 'b'; did you mean 'bb'?" in nnreg("predict", "out", "near.csv")[2]


def test_rows_without_the_target_can_be_predicted_and_not_measured(folder, nnreg):
    (folder / "new.csv").write_text("a,b,code\n1,1,7\n")
    assert nnreg("predict", "out", "new.csv")[0] == 0
    code, _, err = nnreg("evaluate", "out", "new.csv")
    assert code == 1
    assert "new.csv: no column 'sign', the target, to compare with; predict does without" in err


def test_json_goes_to_a_file_too(folder, nnreg):
    printed = nnreg("predict", "out", "data.csv", "--json")[1]
    assert nnreg("predict", "out", "data.csv", "--json", "--out", "answers.json")[1] == ""
    assert (folder / "answers.json").read_text() == printed
    assert len(json.loads(printed)) == 200


def test_a_folder_that_is_not_there_is_told_at_once(folder, nnreg):
    code, out, err = nnreg("predict", "out", "data.csv", "--out", "no/answers.csv")
    assert (code, out) == (2, "")
    assert "no/answers.csv: there is no folder no" in err


def test_what_is_no_regular_file_is_written_to_and_stays(folder, nnreg):
    os.mkfifo("pipe")
    reader = subprocess.Popen(["cat", "pipe"], stdout=subprocess.PIPE)
    assert nnreg("predict", "out", "data.csv", "--out", "pipe")[0] == 0
    assert reader.communicate(timeout=10)[0].startswith(b"prediction,")
    assert (folder / "pipe").is_fifo()


def test_a_bar_shows_how_much_of_the_file_is_read_on_a_terminal_alone(folder, nnreg, monkeypatch):
    assert nnreg("predict", "out", "long.csv")[2] == ""
    monkeypatch.setattr("nnreg.cli.inference.animated", lambda stream: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    (folder / "[").mkdir()
    (folder / "long.csv").rename("[/long].csv")  # which is a tag to rich
    code, out, err = nnreg("predict", "out", "[/long].csv")
    assert code == 0
    assert "[/long].csv" in err
    assert "━" in err
    assert "━" not in out


MEASURED = """
import resource, sys
from nnreg.cli.app import main
try:
    main(sys.argv[1:])
finally:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="others count memory in other units")
def test_two_million_rows_are_predicted_in_the_memory_that_a_few_take(folder):
    head, rows = (folder / "long.csv").read_text().split("\n", 1)
    peaks = {}
    for times in (10, 2_000_000 // ROWS):
        with open("longer.csv", "w") as file:
            file.write(f"{head}\n")
            file.writelines(rows for _ in range(times))
        command = [sys.executable, "-c", MEASURED, "predict", "out", "longer.csv", "--out", "a.csv"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        peaks[times] = int(done.stderr.splitlines()[-1]) * 1024
        with open("a.csv") as file:
            assert sum(1 for _ in file) == ROWS * times + 1
    few, many = peaks.values()
    assert many - few < 20e6  # the answers alone are 80 MB
