"""Several labels in a cell, as an input and as a target."""

import json

import numpy as np
import pandas as pd
import pytest

from nnreg import DataError, RawColumn, SpecError, build, load
from nnreg.builtin.encoders import Labels
from nnreg.data.label_targets import LabelTarget
from nnreg.errors import NnregWarning
from nnreg.runs.prepare import prepare_from_spec
from nnreg.spec.document import read_spec

CELLS = ["b; a", "", "a", "c;a;;a ", None]


def column(values):
    return RawColumn.of(values, "text", name="tags")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [[1, 1, 0], [0, 0, 0], [1, 0, 0], [1, 0, 1], [0, 0, 0]]),
        ({"counts": True}, [[1, 1, 0], [0, 0, 0], [1, 0, 0], [2, 0, 1], [0, 0, 0]]),
        ({"max_labels": 1}, [[1, 1], [0, 0], [1, 0], [1, 1], [0, 0]]),
    ],
)
def test_each_label_is_a_number(options, expected):
    encoder = Labels(**options).learn(column(CELLS).take(np.arange(4)))
    assert encoder.encode(column(CELLS)).tolist() == expected


@pytest.mark.parametrize(
    ("cells", "options"),
    [
        (["a|b", "b", "2"], {"separator": "|"}),
        (['["a", "b"]', '["b"]', "[2]"], {}),
        (['["b ", null, "a"]', "b", "[2.0]"], {}),
    ],
)
def test_labels_are_text_with_a_separator_or_json_lists(cells, options):
    encoder = Labels(**options).learn(column(cells))
    assert encoder.labels == ("2", "a", "b")
    assert encoder.encode(column(cells)).tolist() == [[0, 1, 1], [0, 0, 1], [1, 0, 0]]


@pytest.mark.parametrize("cell", ["['a', 'b']", '[["a"]]', '[{"a": 1}]', '["a"'])
def test_a_wrong_list_is_refused_with_its_location(cell):
    with pytest.raises(
        DataError, match=r"row 1, column 'tags': found .* not a JSON list of labels"
    ):
        Labels().learn(column(["a", cell]))


def test_an_unknown_label_is_refused_or_ignored():
    encoder = Labels().learn(column(["apple;pear", "pear"]))
    with pytest.raises(
        DataError, match=r"row 1, .* unknown label 'aple'; did you mean 'apple'\? \("
    ):
        encoder.encode(column(["pear", "pear;aple"]))
    ignoring = Labels(unseen="ignore").learn(column(["apple;pear"]))
    assert ignoring.encode(column(["pear;plum"])).tolist() == [[0, 1]]


SPEC = {
    "model": {"layers": [{"type": "dense", "units": "classes", "activation": "sigmoid"}]},
    "loss": "binary_cross_entropy",
    "optimizer": {"type": "adam", "learning_rate": 0.5},
    "metrics": ["accuracy", {"type": "f1", "of": "sun", "name": "sunny"}],
    "train": {"epochs": 30},
}  # fmt: skip
X = [-2, -1, 1, 2]
SKY = [[], ["rain"], ["sun"], ["rain", "sun"]]


@pytest.fixture
def spec(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(sky=SKY, **data):
        rows = (f"{x},{';'.join(one)}\n" for x, one in zip(X * 2, sky * 2, strict=True))
        (tmp_path / "data.csv").write_text("x,sky\n" + "".join(rows))
        data = {"columns": {"sky": {"type": "labels"}}, **data}
        return {**SPEC, "data": {"source": "csv", "path": "data.csv", "target": "sky", **data}}

    return write


def test_a_target_of_labels_is_trained_evaluated_and_predicted(spec, tmp_path, nnreg):
    (tmp_path / "s.json").write_text(json.dumps(spec(split={"validation": 0.5, "order": True})))
    assert nnreg("run", "s.json", "--quiet", "--out", "run")[0] == 0
    (tmp_path / "new.csv").write_text("x\n9\n-9\n")
    header, first, _ = nnreg("predict", "run", "new.csv")[1].splitlines()
    assert header == "prediction,probability_rain,probability_sun"
    text, *numbers = first.split(",")
    model = load("run")
    assert model.probabilities({"x": [9, -9]})[0].tolist() == list(map(float, numbers))
    assert model.classify({"x": [9, -9]})[0] == text.split(";")
    frame = pd.read_csv("data.csv")
    found = model.evaluate(frame)
    assert found.keys() == {"loss", "accuracy", "sunny"}
    assert found == model.evaluate(frame[["x"]], SKY * 2)
    assert found == model.evaluate(frame[["x"]], pd.Series([json.dumps(one) for one in SKY * 2]))
    assert "sunny" in nnreg("evaluate", "run", "data.csv")[1]


@pytest.mark.parametrize("sky", [SKY, [["sun", "rain"], ["sun", "wind"], ["rain", "sun"]]])
def test_lists_of_python_are_labels_of_any_length(sky):
    x = np.arange(len(sky))
    frame = pd.DataFrame({"x": x, "seen": sky})
    columns = {"seen": {"type": "labels"}, "sky": {"type": "labels"}}
    data = {"source": "csv", "path": "unused.csv", "target": "sky", "columns": columns}
    model = build({**SPEC, "data": data}, data=(frame, {"sky": sky}))
    assert model.preprocessing.target.labels == tuple(sorted({one for row in sky for one in row}))
    found = model.examples(frame, sky)
    np.testing.assert_array_equal(found.targets, found.x[:, 1:])


def test_held_out_rows_are_not_learned_and_their_unknown_labels_refused(spec):
    split = {"validation": 0.5, "order": True}
    rows = [*SKY[:3], ["wind"], *SKY[:2], ["sun"], ["snow"]]
    (refused := spec(split=split))
    with open("data.csv", "w") as file:
        file.write("x,sky\n" + "".join(f"0,{';'.join(one)}\n" for one in rows))
    with pytest.raises(DataError, match=r"data.csv, line 9, column 'sky': unknown label 'snow'"):
        prepare_from_spec(read_spec(refused))
    ignored = {**refused["data"], "columns": {"sky": {"type": "labels", "unseen": "ignore"}}}
    run = prepare_from_spec(read_spec({**refused, "data": ignored}))
    assert run.model.preprocessing.target.labels == ("rain", "sun", "wind")
    assert run.validation.targets[-1].tolist() == [0, 0, 0]


def test_only_the_most_frequent_labels_of_a_target_may_be_predicted(spec):
    data = {"columns": {"sky": {"type": "labels", "max_labels": 1}}}
    run = prepare_from_spec(read_spec({**spec(**data), "metrics": []}))
    assert run.model.preprocessing.target.labels == ("rain",)


def test_a_missing_target_has_no_labels_or_is_dropped(spec):
    assert len(prepare_from_spec(read_spec(spec())).train) == 8
    with pytest.warns(NnregWarning, match="dropped 2 of 8 rows"):
        assert len(prepare_from_spec(read_spec(spec(missing_target="drop"))).train) == 6


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ({"split": {"test": 0.5, "stratify": True}}, SpecError,
         r"\$\.data\.split\.stratify: the target has several labels per row; stratify needs"),
        ({"columns": {"sky": {"type": "labels", "counts": True}}}, SpecError, 'remove "counts"'),
        ({"columns": {"sky": {"type": "date"}}}, SpecError, "'sky' is a target, which has no"),
    ],
)  # fmt: skip
def test_what_does_not_fit_a_target_of_labels_is_refused(spec, data, error, message):
    with pytest.raises(error, match=message):
        prepare_from_spec(read_spec(spec(**data)))


def test_a_target_without_labels_is_refused(spec):
    with pytest.raises(DataError, match="no training row has a label in column 'sky'"):
        prepare_from_spec(read_spec(spec(sky=[[], [], [], []])))


def test_a_checkpoint_has_as_many_labels_as_numbers():
    with pytest.raises(ValueError, match="labels: need one column"):
        LabelTarget(("sky",), (0.0,), (1.0,), labels=("rain", "sun"))
