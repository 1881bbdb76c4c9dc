"""Columns that say the same as another one, or that determine the target."""

import numpy as np

from nnreg.starter.column_facts import facts_of_columns
from nnreg.starter.redundant import redundant_columns
from nnreg.tables.convert import table_of
from tests.starter.proposals import repeated, rng


def redundant(target="y", **columns):
    table = table_of(columns)
    names = [name for name in columns if name != target]
    return redundant_columns(table, facts_of_columns(table), target, names)


def test_columns_that_determine_the_target_come_first():
    x, y = rng(1).normal(size=60), rng(2).lognormal(size=60)
    found = redundant(x=x, again=x * 3, copy=y, log=-np.log(y), y=y)
    assert list(found) == ["copy", "log", "again"]
    assert found["log"] == "determines the target 'y': each value goes with one of it"
    assert found["again"] == "says the same as 'x'"


def test_codes_and_names_of_classes_are_the_same():
    names = rng().choice(["a", "b", "c"], 60)
    codes = np.array([{"a": 7, "b": 3, "c": 5}[name] for name in names])
    x = rng(1).normal(size=60)
    assert list(redundant(x=x, code=codes, y=names)) == ["code"]
    assert list(redundant(x=x, kind=names, code=codes, y=rng(3).normal(size=60))) == ["code"]


def test_the_only_input_stays_and_few_rows_are_not_compared():
    y = rng().normal(size=60)
    assert redundant(x=2 * y, y=y) == {}
    kinds = repeated(6, "a", "b")
    assert redundant(x=np.arange(6.0), kind=np.array(kinds), y=np.array(kinds)) == {}
