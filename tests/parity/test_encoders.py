"""What encoders learn and write beside scikit-learn's preprocessing."""

import importlib

import numpy as np
import pytest

from nnreg.builtin import encoders
from nnreg.interfaces.encoder import RawColumn
from tests.parity.comparison import compare, require_all

pytestmark = pytest.mark.verify

RNG = np.random.default_rng(0)
ROWS, NEW = RNG.normal(3, 5, (2, 40))
IMAGES, NEW_IMAGES = RNG.integers(0, 256, (2, 12, 3, 4)).astype(float)
WORDS = RNG.choice(["oak", "elm", "fir", "ash", "yew"], 60, p=[0.4, 0.3, 0.15, 0.1, 0.05])


@pytest.fixture
def preprocessing(sklearn):
    return importlib.import_module("sklearn.preprocessing")


def encoded(encoder, rows, new, takes):
    learned = encoder.learn(RawColumn.of(rows, takes))
    return learned.encode(RawColumn.of(new, takes))


@pytest.mark.parametrize("rows", [ROWS, np.full(40, 3.25)], ids=["numbers", "a constant"])
def test_a_scaled_number_is_scikit_learns(preprocessing, rows):
    theirs = preprocessing.StandardScaler().fit(rows[:, None])
    found = encoded(encoders.Number("standard"), rows, NEW, "numbers")
    expected = theirs.transform(NEW[:, None])
    compare(encoders.Number, "sklearn.preprocessing.StandardScaler", [(found, expected)])


def test_scaled_arrays_are_scikit_learns_on_all_their_values(preprocessing):
    theirs = preprocessing.StandardScaler().fit(IMAGES.reshape(-1, 1))
    found = encoded(encoders.Values("standard"), IMAGES, NEW_IMAGES, "arrays")
    expected = theirs.transform(NEW_IMAGES.reshape(-1, 1)).reshape(NEW_IMAGES.shape)
    compare(encoders.Values, "sklearn.preprocessing.StandardScaler", [(found, expected)])


@pytest.mark.parametrize("limit", [None, 3])
@pytest.mark.parametrize("new", [WORDS[::-1], np.array(["oak", "pine", "yew"])], ids=str)
def test_categories_are_scikit_learns(preprocessing, limit, new):
    """scikit-learn counts the column of all others among `max_categories`."""
    theirs = preprocessing.OneHotEncoder(
        handle_unknown="infrequent_if_exist",
        max_categories=None if limit is None else limit + 1,
        sparse_output=False,
    ).fit(WORDS[:, None])
    found = encoded(encoders.Category(limit, "ignore"), WORDS, new, "text")
    compare(
        encoders.Category, "sklearn.preprocessing.OneHotEncoder",
        [(found, theirs.transform(new[:, None]))],
    )  # fmt: skip


@pytest.mark.parametrize(
    "rows", [RNG.normal(3, 5, 200), RNG.exponential(size=200), RNG.integers(0, 6, 200) / 4], ids=str
)
def test_bins_are_scikit_learns_quantiles_and_sums_of_its_splines(preprocessing, rows):
    new = RNG.normal(3, 9, 50)
    learned = encoders.PiecewiseLinear(8).learn(RawColumn.of(rows))
    edges = np.array(learned.edges)[:, None]
    bins = preprocessing.KBinsDiscretizer(8, strategy="quantile", quantile_method="linear")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("warnings.warn", lambda *_, **__: None)  # that equal quantiles are one
        expected_edges = bins.fit(rows[:, None]).bin_edges_[0]
    splines = preprocessing.SplineTransformer(degree=1, knots=edges, extrapolation="constant")
    hats = splines.fit(rows[:, None]).transform(new[:, None])
    parts = np.cumsum(hats[:, ::-1], axis=1)[:, ::-1][:, 1:]
    scaled = preprocessing.StandardScaler().fit(rows[:, None]).transform(new[:, None])
    found = learned.encode(RawColumn.of(new))
    compare(
        encoders.PiecewiseLinear,
        "sklearn.preprocessing.SplineTransformer",
        [(edges[:, 0], expected_edges), (found, np.hstack([scaled, parts]))],
    )


def test_every_encoder_is_compared():
    of_categories = {"index", "hashed", "target_mean"}  # in test_encoders_categories, and so on
    of_dates, of_text = {"date", "ordered", "labels"}, {"bag_of_words", "tf_idf", "tokens"}
    own = {"number", "piecewise_linear", "category", "values"}
    require_all("encoder", own | of_categories | of_dates | of_text)
