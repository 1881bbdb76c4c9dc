"""`nnreg forecast`, and `predict` and `evaluate` of windows of time series."""

import json

import pytest

import nnreg as library
from tests.model.test_windows import HORIZON, ROWS, csv, spec


@pytest.fixture(autouse=True)
def run(tmp_path, monkeypatch):
    """Train on the table of two shops."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sales.csv").write_text(csv(shops=("north", "south")))
    library.run(spec(window={"group": "shop"}, data={"exclude": []}), out="run")


def test_the_command_prints_the_columns(tmp_path, nnreg):
    code, out, _ = nnreg("forecast", "run", "sales.csv")
    head, *rows = out.splitlines()
    assert code == 0
    assert head == "shop,day,step,prediction"
    assert rows[0].startswith("north,2024-03-01,1,")
    assert len(rows) == 2 * HORIZON
    found = json.loads(nnreg("forecast", "run", "sales.csv", "--json")[1])
    assert found[-1]["shop"] == "south"
    nnreg("forecast", "run", "sales.csv", "--out", "next.csv")
    assert (tmp_path / "next.csv").read_text() == out


def test_a_group_without_enough_rows_is_an_error_that_writes_nothing(tmp_path, nnreg):
    code, out, err = nnreg("forecast", "run", "-", "--out", "x.csv", stdin=csv(3))
    assert (code, out) == (1, "")
    assert "of 'shop' 'north' are fewer than the 6 of a window" in err
    assert not (tmp_path / "x.csv").exists()
    code, _, err = nnreg("forecast", "run", "sales.csv", "--out", "none/x.csv")
    assert (code, "no directory none" in err) == (2, True)


def test_predict_prints_a_row_for_each_window(nnreg):
    head, *rows = nnreg("predict", "run", "sales.csv")[1].splitlines()
    assert head == "shop,day,prediction_1,prediction_2,prediction_3"
    assert len(rows) == 2 * (ROWS - 5)
    assert rows[0].startswith("north,2024-01-06,")


def test_evaluate_compares_all_windows(nnreg):
    assert "loss" in nnreg("evaluate", "run", "sales.csv")[1]
