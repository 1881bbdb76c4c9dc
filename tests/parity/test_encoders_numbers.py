"""Scalings of numbers beside scikit-learn's transformers: inputs, and targets there and back.

All are equal within 1e-12, except for the power of Yeo and Johnson. Its likelihood is so flat at
the maximum that two searches differ by 1e-8 of it, and more where all numbers are near 0. So powers
are compared within 1e-6, or by their likelihood alone, and numbers with the same power. Powers with
which results lose more than half of their digits are not tried, as they are there: of 90 zeros and
10 numbers, it is -11.4 instead of -13.1.
"""

import importlib
import warnings

import numpy as np
import pytest

from nnreg.builtin import encoders
from nnreg.builtin.encoders.scaling import learn_power, learn_scale, with_bounds
from nnreg.data.targets import NumericTarget
from nnreg.interfaces.encoder import RawColumn
from tests.parity.comparison import compare, peer

pytestmark = pytest.mark.verify

RNG = np.random.default_rng(0)
COLUMNS = {
    "normal": RNG.normal(3, 5, 500),
    "skewed": RNG.exponential(2, 3000),
    "negative": -RNG.exponential(2, 300),
    "ties": RNG.integers(0, 5, 200).astype(float),
    "mostly zeros": np.r_[np.zeros(50), RNG.exponential(2, 50)],
    "two values": RNG.integers(0, 2, 100).astype(float),
    "integers": RNG.integers(0, 10_000, 2500).astype(float),
    "constant": np.full(40, 3.25),
    "small": RNG.normal(0, 1e-3, 100),
    "large": 1e6 + RNG.normal(0, 5e5, 300),
}
QUANTILES = {"output_distribution": "normal", "subsample": None}
CLASSES = {
    "standard": ("StandardScaler", {}),
    "robust": ("RobustScaler", {}),
    "min_max": ("MinMaxScaler", {}),
    "quantile": ("QuantileTransformer", QUANTILES),
    "power": ("PowerTransformer", {}),
}


def likelihood(power, rows):
    return importlib.import_module("scipy.stats").yeojohnson_llf(power, rows)


def fitted(sklearn, scaling, rows):
    """Return scikit-learn's transformer; its power is ours."""
    preprocessing = importlib.import_module("sklearn.preprocessing")
    name, options = CLASSES[scaling]
    if scaling == "quantile":
        options = options | {"n_quantiles": min(1000, len(rows))}
    found = getattr(preprocessing, name)(**options)
    found.fit(rows[:, None])
    if scaling == "power":
        ours = learn_power(rows)
        both = [likelihood(power, rows) for power in (ours, found.lambdas_[0])]
        assert both[0] >= both[1] - 1e-9 * abs(both[1])
        if rows is not COLUMNS["small"]:
            assert ours == pytest.approx(found.lambdas_[0], rel=1e-6)
        found.lambdas_[0] = ours
        unscaled = preprocessing.PowerTransformer(standardize=False).fit(rows[:, None])
        unscaled.lambdas_[0] = ours
        found._scaler.fit(unscaled.transform(rows[:, None]))
    return found


@pytest.mark.parametrize("scaling", CLASSES)
@pytest.mark.parametrize("name", COLUMNS)
def test_a_scaled_number_is_scikit_learns(sklearn, scaling, name):
    """A constant column has the quantile 0, not -5.2 as there."""
    rows = COLUMNS[name]
    if (scaling, name) == ("quantile", "constant"):
        return
    spread = np.ptp(rows) or 1
    new = np.r_[rows, RNG.uniform(rows.min() - spread, rows.max() + spread, 200)]
    theirs = fitted(sklearn, scaling, rows)
    learned = encoders.Number(scaling).learn(RawColumn.of(rows))
    found = learned.encode(RawColumn.of(new))
    full = f"sklearn.preprocessing.{CLASSES[scaling][0]}"
    compare(encoders.Number, full, [(found, theirs.transform(new[:, None]))])


def test_a_logarithm_is_numpys_then_standardized(sklearn):
    preprocessing = importlib.import_module("sklearn.preprocessing")
    rows = COLUMNS["skewed"]
    theirs = preprocessing.StandardScaler().fit(np.log1p(rows)[:, None])
    found = encoders.Number("log").learn(RawColumn.of(rows)).encode(RawColumn.of(rows))
    compare(
        encoders.Number, "sklearn.preprocessing.StandardScaler",
        [(found, theirs.transform(np.log1p(rows)[:, None]))],
    )  # fmt: skip


@peer("formula")
def smoothly_clipped(rows, new):
    """Return the numbers of RealMLP's preprocessing, but of a constant column with the factor 1."""
    low, median, high = np.percentile(rows, [25, 50, 75])
    width = high - low or (rows.max() - rows.min()) / 2 or 1
    z = (new - median) / width
    return z / np.sqrt(1 + (z / 3) ** 2)


@pytest.mark.parametrize("name", COLUMNS)
def test_a_clipped_number_is_that_of_the_formula(name):
    rows = COLUMNS[name]
    found = encoders.Number("robust_clipped").learn(RawColumn.of(rows)).encode(RawColumn.of(rows))
    expected = smoothly_clipped(rows, rows)[:, None]
    compare(encoders.Number, smoothly_clipped, [(found, expected)])


@pytest.mark.parametrize("scaling", CLASSES)
@pytest.mark.parametrize("name", ["normal", "skewed", "ties", "integers"])
def test_a_target_there_and_back_is_scikit_learns(sklearn, scaling, name):
    """As in `TransformedTargetRegressor`, also of outputs beyond the training rows.

    Where a power has no inverse, scikit-learn's is NaN; ours is bounded.
    """
    rows = COLUMNS[name]
    theirs = fitted(sklearn, scaling, rows)
    scale = with_bounds(learn_scale(rows, scaling), rows)
    curves = (scale.curve,) if scale.curve else ()
    target = NumericTarget(("t",), (scale.mean,), (scale.std,), single=True, curves=curves)
    y = target.scale(rows[:, None])
    np.testing.assert_allclose(y, theirs.transform(rows[:, None]), rtol=1e-11, atol=1e-12)
    outputs = np.linspace(-3, 3, 101)[:, None]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = theirs.inverse_transform(outputs)
    low, high = scale.curve.bounds if scale.curve else (-np.inf, np.inf)
    known = np.isfinite(expected)
    found = target.unscale(outputs)
    assert ((found >= low) & (found <= high)).all()
    np.testing.assert_allclose(
        found[known], np.clip(expected[known], low, high), rtol=1e-11, atol=1e-12
    )
    np.testing.assert_allclose(target.unscale(y), rows[:, None], rtol=1e-9, atol=1e-12)
