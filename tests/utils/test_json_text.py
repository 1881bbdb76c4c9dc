"""JSON text: strict, with values that are not finite as text."""

import json
import math

import pytest

from nnreg._utils.json_text import dumps, with_numbers

VALUES = {"a": math.nan, "b": math.inf, "c": -math.inf, "d": 1.5, "e": 3, "f": None}


def strict(text):
    def refuse(name):
        raise ValueError(name)

    return json.loads(text, parse_constant=refuse)


def test_values_that_are_not_finite_are_text_in_strict_json():
    tree = {"x": [VALUES, (math.nan, "NaN", True)]}
    found = strict(dumps(tree, indent=2))
    expected = {**VALUES, "a": "NaN", "b": "Infinity", "c": "-Infinity"}
    assert found == {"x": [expected, ["NaN", "NaN", True]]}


@pytest.mark.parametrize("options", [{}, {"indent": 2}, {"ensure_ascii": False}])
def test_other_trees_are_written_as_json_does(options):
    tree = {"name": "é", "values": [1, 0.1, None, True, {}]}
    assert dumps(tree, **options) == json.dumps(tree, **options)


def test_a_record_is_read_back_and_each_text_stays_one_of_the_three():
    found = with_numbers(strict(dumps(VALUES)))
    assert repr(found) == repr(VALUES)
    assert with_numbers({"a": "nan", "b": "Inf", "c": ["NaN"]}) == {
        "a": "nan", "b": "Inf", "c": ["NaN"],
    }  # fmt: skip
