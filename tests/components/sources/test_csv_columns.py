"""Columns of CSV files as inputs and targets: dates, decimal commas, names and classes."""

import re

import pytest

from nnreg import DataError
from nnreg.runs.prepare import prepare_from_spec
from nnreg.spec.document import read_spec
from tests.helpers.specs import classifier, csv_data


@pytest.mark.parametrize(
    "dates",
    [
        ["2024-01-31", "2024-02-01"],
        ["2024-01-31 10:00", "2024-02-01T10:30:05.25Z"],
        ["31.1.2024", "1.2.2024"],
        ["1/31/24", "2/1/2024 3:15 pm"],
        ["10:30", "11:05:59"],
    ],
)
def test_dates_are_refused_with_a_fix(tmp_path, monkeypatch, dates):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.csv").write_text(
        "species,x,when\n"
        + "".join(f"{'ab'[i % 2]},{i},{date}\n" for i, date in enumerate(dates * 3))
    )
    with pytest.raises(
        DataError, match=f"'when' holds dates or times, such as '{dates[0]}'; set it"
    ):
        prepare_from_spec(read_spec(classifier(data=csv_data())))
    for fix in ({"exclude": ["when"]}, {"columns": {"when": "category"}}):
        prepare_from_spec(read_spec(classifier(data=csv_data(**fix))))


@pytest.mark.parametrize("values", [["2024-01-31", "soon"], ["1-2", "3-4"], ["a:b", "10:30"]])
def test_values_that_are_not_all_dates_are_categories(tmp_path, monkeypatch, values):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.csv").write_text("species,x\n" + "".join(f"{v},{v}\n" for v in values))
    prepare_from_spec(read_spec(classifier(data=csv_data())))


def test_decimal_commas_are_refused_with_a_fix(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.csv").write_text('species,x\nred,"1,5"\nblue,"1.002,25"\n')
    with pytest.raises(DataError, match=r"'x' has numbers with a decimal comma, such as '1,5'"):
        prepare_from_spec(read_spec(classifier(data=csv_data())))


def test_a_decimal_comma_among_whole_numbers_is_reported_as_such(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.csv").write_text('species,x\nred,1\nblue,"1,5"\n')
    advice = """found '1,5' among numbers; set 'x' to {"type": "number", "format": "1.234,5"}"""
    with pytest.raises(DataError, match=re.escape(advice)):
        prepare_from_spec(read_spec(classifier(data=csv_data())))


def test_a_target_of_one_class_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.csv").write_text("species,x\nred,1\nred,2\n")
    with pytest.raises(DataError, match="'species' is 'red' in every training row; expected two"):
        prepare_from_spec(read_spec(classifier(data=csv_data())))


def test_a_column_too_large_to_be_one_hot_encoded_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"{'red' if i % 2 else 'blue'},user {i},1\n" for i in range(3000))
    (tmp_path / "data.csv").write_text("species,name,x\n" + rows)
    monkeypatch.setattr("nnreg._utils.memory.memory_limit", lambda: 10_000_000)
    with pytest.raises(DataError, match=r"'name' becomes 3,000 numbers in each of 3,000 rows, "):
        prepare_from_spec(read_spec(classifier(data=csv_data())))
    prepare_from_spec(read_spec(classifier(data=csv_data(exclude=["name"]))))


def test_the_name_of_a_class_is_its_text(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.csv").write_text("species,zip,x\n" + "01,007,1\n1,7,2\n" * 4)
    data = csv_data(columns={"zip": "category"})
    model = prepare_from_spec(read_spec(classifier(data=data))).model
    assert model.classes == ("01", "1")
    assert model.preprocessing.inputs[0].encoder.categories == ("007", "7")
