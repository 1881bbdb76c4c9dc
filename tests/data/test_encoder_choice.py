"""The encoders of columns that `data.columns` does not list."""

import numpy as np
import pytest

from nnreg.builtin.encoders import Category, Hashed, Number, Ordered, PiecewiseLinear, Values
from nnreg.data.encoder_choice import encoder_of
from nnreg.data.settings import Columns
from nnreg.spec.document import read_spec
from nnreg.tables.convert import table_of
from tests.helpers.specs import regressor

TABLE = table_of(
    {
        "x": [1.0, 2.0, 4.0],
        "kind": ["a", "b", "a"],
        "image": np.zeros((3, 2, 2)),
        "other": [1, 2, 3],
    }
)


def chosen(name, integer=False, **options):
    return encoder_of(TABLE, name, Columns(**options), integer, by_step=False)


def test_numbers_and_categories_have_the_encoders_of_the_setting():
    settings = {"numbers": PiecewiseLinear(4), "categories": Hashed(), "unseen": "ignore"}
    assert chosen("x", **settings) == PiecewiseLinear(4)
    assert isinstance(chosen("kind", **settings), Hashed)


def test_a_listed_column_keeps_its_own():
    listed = {"x": Number(), "kind": Category()}
    settings = {"numbers": PiecewiseLinear(), "categories": Hashed(), "columns": listed}
    assert isinstance(chosen("x", **settings), Number)
    assert isinstance(chosen("kind", **settings), Category)
    assert isinstance(chosen("other", **settings), PiecewiseLinear)


def test_arrays_and_integers_of_a_network_have_their_own():
    assert isinstance(chosen("image", numbers=PiecewiseLinear()), Values)
    assert chosen("other", True, numbers=PiecewiseLinear()) == Number(scaling="none")


def test_options_of_the_data_apply_to_them():
    found = chosen("kind", categories=Category(min_rows=2), max_categories=5, unseen="ignore")
    assert (found.min_rows, found.max_categories, found.unseen) == (2, 5, "ignore")
    assert chosen("x", numbers=Number(), scaling="robust").scaling == "robust"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"numbers": Ordered(("a", "b"))}, "numbers: its encoder takes text, but these columns"),
        ({"categories": Number()}, "categories: its encoder takes numbers"),
        ({"numbers": Values()}, "numbers: its encoder takes arrays"),
    ],
)
def test_an_encoder_of_other_values_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Columns(**options)


def test_a_spec_names_them():
    data = {"source": "csv", "path": "x.csv", "target": "y", "numbers": "piecewise_linear"}
    data["categories"] = {"type": "hashed", "size": 8}
    found = read_spec({**regressor(), "data": data}).spec.data
    assert (found.numbers, found.categories.size) == (PiecewiseLinear(), 8)
