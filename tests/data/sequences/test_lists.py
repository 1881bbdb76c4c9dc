"""JSON lists in the cells of a text file are sequences."""

from pathlib import Path

import numpy as np
import pytest

import nnreg as library
from nnreg.errors import DataError, NnregWarning
from nnreg.tables.convert import table_of
from nnreg.tables.lists import is_lists
from tests.helpers.sequences import PER_SEQUENCE, PER_STEP, prepare, spec

TEXT = 'x,kind\n"[1, 2.5, 3]",a\n[4],b\n"[0, 1]",a\n'


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda text: (tmp_path / "data.csv").write_text(text)


def prepared(base=PER_SEQUENCE, target="kind", **data):
    return prepare(spec(base, "csv", "data.csv", target, **data))


def test_numbers_are_standardized_by_the_real_steps_alone(write):
    write(TEXT)
    x = prepared().train.x
    values = np.array([1, 2.5, 3, 4, 0, 1])
    expected = (values - values.mean()) / values.std()
    assert x.lengths.tolist() == [3, 1, 2]
    np.testing.assert_allclose(x.points[:, 0], expected)
    assert not x.values[~x.mask].any()


def test_the_type_of_the_steps_is_learned_from_the_training_rows_alone(write):
    write(TEXT)
    run = prepared(split={"validation": 0.34, "order": True})
    (column,) = run.model.preprocessing.inputs
    assert column.encoder.mean == pytest.approx(np.mean([1, 2.5, 3, 4]))
    assert run.validation.x.lengths.tolist() == [2]


def test_integers_of_an_embedding_stay_integers(write):
    write('x,kind\n"[1, 2, 3]",a\n[4],b\n"[0, 1]",a\n')
    base = {**PER_SEQUENCE, "model": {"layers": [
        {"type": "embedding", "vocabulary": 5, "units": 2},
        *PER_SEQUENCE["model"]["layers"],
    ]}}  # fmt: skip
    x = prepared(base).train.x
    assert x.dtype == np.int64
    assert x.values.tolist() == [[1, 2, 3], [4, 0, 0], [0, 1, 0]]


def test_words_are_categories_of_each_step(write):
    write('x,kind\n"[""p"", ""q""]",a\n"[""q""]",b\n"[""p"", null]",a\n')
    x = prepared(missing="impute").train.x
    assert x.points.tolist() == [[1, 0], [0, 1], [0, 1], [1, 0], [1, 0]]


def test_an_unknown_word_is_refused_with_its_step_or_ignored(write):
    write('x,kind\n"[""p"", ""q""]",a\n"[""q""]",b\n')
    model = prepared().model
    with pytest.raises(DataError, match=r"row 0, step 1, column 'x': unknown category 'r'"):
        model.predict({"x": [["p", "r"], ["q"]]})
    model = prepared(unseen="ignore").model
    with pytest.warns(NnregWarning, match="row 0, step 1.*the first of 1 in 3 steps"):
        model.predict({"x": [["p", "r"], ["q"]]})


def test_lists_of_lists_are_steps_of_several_values(write):
    write('x,kind\n"[[1, 2], [3, 4]]",a\n"[[5, 6]]",b\n')
    run = prepared(scaling="none")
    assert run.train.x.values.tolist() == [[[1, 2], [3, 4]], [[5, 6], [0, 0]]]
    assert run.model.preprocessing.input_shape == (2, 2)


def test_several_columns_of_lists_are_features_of_a_step(write):
    write('x,w,kind\n"[1, 2]","[""p"", ""q""]",a\n[3],"[""p""]",b\n')
    x = prepared(scaling="none").train.x
    assert x.points.tolist() == [[1, 1, 0], [2, 0, 1], [3, 1, 0]]


def test_targets_may_be_lists(write):
    write('x,tags\n"[1, 2]","[""N"", ""V""]"\n[3],"[""N""]"\n')
    run = prepared(PER_STEP, target="tags")
    assert run.model.classes == ("N", "V")
    assert run.train.raw_targets.points.tolist() == [0, 1, 0]
    assert run.train.raw_targets.lengths.tolist() == [2, 1]


def test_numeric_targets_of_steps_are_scaled_by_the_real_steps(write):
    write('x,y\n"[1, 2]","[10, 20]"\n[3],[60]\n')
    dense = {"type": "dense", "units": 1}
    layers = [{"type": "lstm", "units": 4, "sequences": True}, dense]
    base = {**PER_STEP, "loss": "mean_squared_error", "metrics": [], "model": {"layers": layers}}
    run = prepared(base, target="y", target_scaling="standard")
    assert run.model.preprocessing.target.mean == (30,)
    np.testing.assert_allclose(run.train.raw_targets.points[:, 0], [10, 20, 60])
    np.testing.assert_allclose(run.train.targets.points.mean(), 0, atol=1e-7)


def test_an_empty_list_is_a_sequence_without_steps_and_warned_of(write):
    write("x,kind\n[],b\n" + TEXT.removeprefix("x,kind\n"))
    with pytest.warns(NnregWarning, match=r"line 2, column 'x': a sequence without steps.* 1 in 4"):
        run = prepared()
    assert run.train.x.lengths.tolist() == [0, 3, 1, 2]
    assert len(run.model.predict({"x": [[], [1.0]]})) == 2


def test_rows_whose_lists_are_all_empty_are_predicted_as_empty_lists(write, nnreg):
    write('x,tags\n"[1,2]","[""p"",""q""]"\n[3],"[""p""]"\n')
    library.run(spec(PER_STEP, "csv", "data.csv", "tags"), out="out")
    Path("empty.csv").write_text("x\n[]\n[]\n")
    code, printed, _ = nnreg("predict", "out", "empty.csv")
    assert (code, printed.splitlines()[1:]) == (0, ["[],[],[]"] * 2)


def test_predict_and_evaluate_warn_once_of_empty_lists(write, nnreg):
    write(TEXT)
    library.run(spec(PER_SEQUENCE, "csv", "data.csv", "kind"), out="out")
    Path("some.csv").write_text("x,kind\n[2],b\n[],b\n" + 3000 * "[1],a\n" + "[],b\n")
    for command in ("predict", "evaluate"):
        code, _, errors = nnreg(command, "out", "some.csv")
        assert code == 0
        assert errors.count("a sequence without steps") == 1
        assert "line 3, column 'x': a sequence without steps; remove these rows" in errors


WRONG = {
    "text among numbers": ('[1,""p""]', r", step 1: found 'p' in a list that begins with '1'"),
    "an unfinished list": ("[1", r": found '\[1', which is not a JSON list: Expecting ',' delimit"),
    "no list": ("7", r": found '7' among lists; write a list, as in \[7\]"),
    "lists of other lengths": ("[[1,2],[3]]", r", step 1: a list of 1 values, but the one before"),
    "a list without values": ("[[],[]]", ", step 0: a list without values"),
    "steps of another shape": ("[[1,2]]", r": a sequence of steps of shape \(2,\), but those"),
    "lists among numbers": ("[1,[2]]", r", step 1: found '\[2\]' in a list that begins with '1'"),
    "numbers among lists": ("[[2],1]", ", step 1: found 1 among lists"),
    "text only": ('[""p""]', ": a list of text, but those before have numbers"),
    "an object": ("[{}]", ", step 0: found an object"),
    "NaN": ("[NaN]", ": in a list: found NaN, which is not a number"),
    "an infinite number": ("[1e999]", r", column 'x': an infinite value"),
    "a missing value": ("[1,null]", "step 1, column 'x': the value is missing"),
    "no cell": ("", r": the value is missing; write \[\] for a sequence of no steps"),
    "a large integer": (f"[{10**30}]", r": the integer 1000.*is too large"),
    "thousands of digits": (f"[{'9' * 5000}]", ": a number in a list has too many digits"),
    "deep nesting": ("[" * 10_000 + "]" * 10_000, ": lists within lists are nested too deep"),
}


@pytest.mark.parametrize(("cell", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_list_is_refused_with_its_line_and_column(write, cell, message):
    write(f'{TEXT}"{cell}",a\n')
    with pytest.raises(DataError, match=r"data\.csv, line 5.*" + message) as caught:
        prepared()
    assert "column 'x'" in str(caught.value)


def test_lists_of_one_row_have_the_same_length(write):
    write('x,w,kind\n"[1, 2]","[1, 2]",a\n"[3, 4]",[3],b\n')
    with pytest.raises(
        DataError, match="line 3, column 'w': a sequence of 1 steps, but that of column 'x' has 2"
    ):
        prepared()


def test_targets_of_another_length_than_the_inputs_are_refused_with_their_line(write):
    write('x,tags\n"[1, 2]","[""N"", ""V""]"\n"[3, 4]","[""N""]"\n')
    with pytest.raises(DataError, match="line 3: 1 targets for a sequence of 2 steps"):
        prepared(PER_STEP, target="tags")


def test_one_value_per_row_beside_lists_needs_an_input_of_its_own(write):
    write('x,age,kind\n"[1, 2]",3,a\n[3],4,b\n')
    with pytest.raises(DataError, match="column 'age' has one value per row, but 'x' is sequences"):
        prepared()


def test_text_that_is_not_lists_stays_categories(write):
    write("x,kind\n[unknown],a\n[other],b\n[unknown],a\n")
    dense = {"type": "dense", "units": "classes", "activation": "softmax"}
    run = prepared({**PER_SEQUENCE, "model": {"layers": [dense]}})
    assert run.model.preprocessing.inputs[0].encoder.categories == ("[other]", "[unknown]")


def test_a_column_is_recognized_by_most_of_its_cells():
    for cells, lists in ((["[1]", "[2]"], True), (["[1]", "p", "q"], False), (["[1"], False)):
        assert is_lists(table_of({"x": cells}).columns["x"]) == lists


def test_rows_of_the_same_text_share_their_steps(write):
    write("x,kind\n" + '"[1, 2, 3]",a\n"[1, 2, 4]",b\n' * 500)
    ragged = prepared().train.x
    assert len(ragged) == 1000
    assert ragged.points[:6].shape == (6, 1)


def test_lists_are_refused_before_they_take_the_memory(write, monkeypatch):
    write("x,kind\n" + f'"{list(range(1000))}",a\n[1],b\n' * 100)
    monkeypatch.setattr("nnreg._utils.memory.memory_limit", lambda: 1_500_000)
    with pytest.raises(DataError, match=r"column 'x': .*more than half of the 1\.5 MB"):
        prepare(spec(PER_SEQUENCE, {"type": "csv", "stream": False}, "data.csv", "kind"))


def test_padding_is_refused_before_it_takes_the_memory(write, monkeypatch):
    write(f'x,kind\n"{list(range(20_000))}",a\n' + "[1],b\n" * 500)
    run = prepared
    monkeypatch.setattr("nnreg._utils.memory.memory_limit", lambda: 20_000_000)
    with pytest.raises(DataError, match="501 sequences padded to 20,000 steps: 80"):
        run()
