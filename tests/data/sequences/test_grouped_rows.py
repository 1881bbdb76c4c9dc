"""Rows of a file with the same value in a column are the steps of a sequence."""

import csv
import io
import json

import numpy as np
import pytest

import nnreg as library
from nnreg.errors import DataError, SpecError
from tests.helpers.sequences import PER_SEQUENCE, PER_STEP, prepare, spec

TEXT = """patient,dose,unit,ill,event
p2,1,a,yes,x
p1,2,a,no,y
p2,3,b,yes,y
p3,4,b,no,x
p1,5,b,no,x
p2,6,a,yes,x
"""
GROUP = {"group": "patient", "constant": ["ill"]}


@pytest.fixture(autouse=True)
def directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.csv").write_text(TEXT)
    return tmp_path


def grouped(base=PER_SEQUENCE, target="ill", inputs=("dose", "unit"), sequences=GROUP, **data):
    data = {"inputs": list(inputs), "sequences": sequences, **data}
    return spec(base, "csv", "data.csv", target, **data)


def test_steps_keep_the_order_of_the_file_and_sequences_that_of_their_first_row():
    run = prepare(grouped(scaling="none"))
    assert run.train.x.lengths.tolist() == [3, 2, 1]
    assert run.train.x.points[:, 0].tolist() == [1, 3, 6, 2, 5, 4]
    assert run.train.x.points[:, 1].tolist() == [1, 0, 1, 1, 0, 0]
    assert [run.model.classes[label] for label in run.train.raw_targets] == ["yes", "no", "no"]


def test_numbers_are_standardized_by_the_steps_of_the_training_sequences():
    run = prepare(grouped(split={"validation": 0.34, "order": True}))
    dose = run.model.preprocessing.inputs[0]
    assert dose.encoder.mean == pytest.approx(np.mean([1, 3, 6, 2, 5]))
    assert run.validation.x.lengths.tolist() == [1]


def test_targets_are_per_step_unless_they_are_constant():
    run = prepare(grouped(PER_STEP, target="event"))
    assert run.train.raw_targets.lengths.tolist() == [3, 2, 1]
    assert run.train.raw_targets.points.tolist() == [0, 1, 0, 1, 0, 0]
    with pytest.raises(SpecError, match='list it in "constant"'):
        prepare(grouped(target="event"))


def test_splits_have_whole_sequences(directory):
    rows = [f"p{n % 40},{n},a,{'yes' if n % 40 < 20 else 'no'},x" for n in range(200)]
    (directory / "data.csv").write_text("\n".join(["patient,dose,unit,ill,event", *rows]) + "\n")
    run = prepare(grouped(split={"validation": 0.25, "stratify": True}, scaling="none"))
    held, kept = (set(one.x.points[:, 0] % 40) for one in (run.validation, run.train))
    assert len(run.validation) == 10
    assert not held & kept
    assert np.bincount(run.validation.raw_targets).tolist() == [5, 5]


def test_folds_have_whole_sequences():
    base = {**PER_STEP, "train": {"epochs": 1, "folds": 3}}
    run = prepare(grouped(base, target="event"))
    assert len(run.train) == 2
    assert len(run.validation) == 1


def test_a_class_per_step_cannot_be_stratified():
    with pytest.raises(SpecError, match="the target has a class per step; stratify needs one"):
        prepare(grouped(PER_STEP, target="event", split={"validation": 0.3, "stratify": True}))


def test_weights_are_those_of_sequences(directory):
    lines = [f"{line},{2 if line.startswith('p2') else 1}" for line in TEXT.split()[1:]]
    (directory / "data.csv").write_text("\n".join([f"{TEXT.split()[0]},w", *lines]))
    weights = prepare(grouped(sample_weights="w")).train.weights
    assert (weights / weights[1]).tolist() == pytest.approx([2, 1, 1])
    (directory / "data.csv").write_text("\n".join([f"{TEXT.split()[0]},w", *lines]) + "5\n")
    with pytest.raises(DataError, match="line 7, column 'w': another value than in line 2"):
        prepare(grouped(sample_weights="w"))


WRONG = {
    "text among numbers": ("1,a,yes,x", "one,a,yes,x", "line 2, column 'dose': found 'one' among"),
    "two constants": ("6,a,yes", "6,a,no", "line 7, column 'ill': another value than in line 2, w"),
    "a missing value": ("3,b", ",b", "line 4, column 'dose': the value is missing"),
    "a missing group": ("p1,5", ",5", "line 6, column 'patient': the value is missing, but rows"),
    "an infinite value": ("5,b", "1e999,b", "line 6, column 'dose'"),
}


@pytest.mark.parametrize(("old", "new", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_cell_is_refused_with_its_own_line(directory, old, new, message):
    (directory / "data.csv").write_text(TEXT.replace(old, new, 1))
    with pytest.raises(DataError, match=message):
        prepare(grouped())


def test_weights_that_differ_within_a_sequence_are_refused_as_weights():
    with pytest.raises(DataError, match=r"line 4, column 'dose': another .* or use another"):
        prepare(grouped(inputs=["unit"], sample_weights="dose"))


def test_an_unknown_column_is_refused_with_a_similar_name():
    with pytest.raises(DataError, match="no column 'patients'; did you mean 'patient'"):
        prepare(grouped(sequences={"group": "patients"}))
    with pytest.raises(DataError, match="no column 'il'; did you mean 'ill'"):
        prepare(grouped(sequences={"group": "patient", "constant": ["il"]}))


@pytest.mark.parametrize(
    ("sequences", "message"),
    [
        ({}, "expected one of 'group', 'lengths' and 'padding', found none"),
        ({"group": "a", "padding": 0}, "found 'group' and 'padding'"),
        ({"grup": "a"}, "unknown key 'grup'; did you mean 'group'"),
        ({"words": {"lenghts": "n"}}, "unknown key 'lenghts'; did you mean 'lengths'"),
        ({"words": {"group": "n"}}, r"rows are grouped for all columns; write \"sequences\": {"),
        ({"group": "dose"}, "'dose' is used by 'sequences' and cannot be an input"),
        ({"group": "patient", "constant": [1]}, r"1 problem\n.*constant\[0\]: must be a valid str"),
        ({"words": {"lengths": 1}}, r"1 problem\n.*words.lengths: must be a valid string"),
    ],
)
def test_a_wrong_setting_is_refused_where_it_stands(sequences, message):
    with pytest.raises(SpecError, match=message) as caught:
        prepare(grouped(sequences=sequences))
    assert all(problem.path.startswith("$.data") for problem in caught.value.problems)


def test_a_prediction_that_is_not_finite_is_reported_at_the_first_row_of_its_sequence():
    model = library.build(grouped(inputs=["dose"], scaling="none"))
    model.network.vector[...] = 0  # and so are the outputs of the LSTM for a dose of 0
    model.parameters["layers/0/weight"][...] = 1
    model.parameters["layers/1/weight"][...] = 1e308
    rows = {"patient": ["a", "a", "b", "b"], "dose": [0.0, 0.0, 1e3, 1e3]}
    with (
        pytest.raises(DataError, match="row 2: the prediction is not finite"),
        pytest.warns(library.DataDriftWarning, match=r"2 of 4 steps are far .* 1,000 in row 2"),
    ):
        model.predict(rows)


def test_predict_prints_a_row_for_each_sequence_with_its_group(nnreg):
    library.run(grouped(), out="out")
    code, out, _ = nnreg("predict", "out", "data.csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert code == 0
    assert [row["patient"] for row in rows] == ["p2", "p1", "p3"]
    table = {
        name: [r[name] for r in csv.DictReader(io.StringIO(TEXT))] for name in ("patient", "unit")
    }
    table["dose"] = [1, 2, 3, 4, 5, 6]
    assert [row["prediction"] for row in rows] == library.load("out").classify(table).tolist()


def test_no_rows_at_all_are_no_sequences():
    once = library.run(grouped(sequences={"group": "patient", "constant": ["ill"]}), out="out")
    nothing = {"patient": [], "dose": [], "unit": [], "ill": []}
    assert once.predict(nothing).shape == (0, 2)


def test_predict_prints_a_row_for_each_step_in_the_order_of_the_file(nnreg):
    library.run(grouped(PER_STEP, target="event"), out="out")
    code, out, _ = nnreg("predict", "out", "data.csv", "--json")
    rows, model = json.loads(out), library.load("out")
    assert code == 0
    lists = [np.array([[1, 1, 0], [3, 0, 1], [6, 1, 0]]), [[2, 1, 0], [5, 0, 1]], [[4, 0, 1]]]
    p2, p1, p3 = (
        model.probabilities(
            {"dose": [[s[0] for s in one]], "unit": [["ab"[int(s[2])] for s in one]]}
        )
        for one in lists
    )
    expected = [p2[0][0], p1[0][0], p2[0][1], p3[0][0], p1[0][1], p2[0][2]]
    np.testing.assert_allclose([row["probability_x"] for row in rows], np.array(expected)[:, 0])


def test_evaluate_counts_every_step_of_a_file_once(nnreg):
    library.run(grouped(PER_STEP, target="event"), out="out")
    code, out, _ = nnreg("evaluate", "out", "data.csv", "--json")
    assert code == 0
    model = library.load("out")
    run = prepare(grouped(PER_STEP, target="event"))
    loss = model.evaluation.evaluate(model.network, run.train)["loss"]
    assert json.loads(out)["data"]["loss"] == pytest.approx(loss)


def test_groups_that_look_like_numbers_stay_text(directory):
    (directory / "data.csv").write_text(
        TEXT.replace("p1", "007").replace("p2", "7").replace("p3", "8")
    )
    assert prepare(grouped()).train.x.lengths.tolist() == [3, 2, 1]


def test_a_run_resumes_bit_identically(directory):
    whole = {**PER_SEQUENCE, "train": {"epochs": 4}}
    library.run(grouped(whole), out="whole")
    library.run(grouped(PER_SEQUENCE), out="part")
    library.resume("part", overrides=["train.epochs=4"])
    models = library.load("whole"), library.load("part")
    assert models[0].network.vector.tobytes() == models[1].network.vector.tobytes()
