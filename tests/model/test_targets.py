"""Which targets of numbers are classes, and which values a loss takes."""

import numpy as np
import pytest

import nnreg
from nnreg import DataError, SpecError
from tests.helpers.specs import classifier

X = np.random.default_rng(0).standard_normal((60, 3))
LABELS = (X > 0).astype(int)
SOFT = np.exp(X) / np.exp(X).sum(axis=1, keepdims=True)


def build(y, loss, last, *before, x=X, metrics=(), **changes):
    layers = [*before, {"type": "dense", **last}]
    spec = classifier(model={"layers": layers, "dtype": "float64"}, loss=loss,
                      metrics=list(metrics), **changes)  # fmt: skip
    return nnreg.build(spec, data=(x, y))


SIGMOIDS = {"units": 3, "activation": "sigmoid"}
SOFTMAX = {"units": 3, "activation": "softmax"}


@pytest.mark.parametrize("kind", [int, float, bool])
def test_an_array_of_several_columns_is_several_labels_per_row(kind):
    y = LABELS.astype(kind)
    model = build(y, "binary_cross_entropy", SIGMOIDS)
    assert model.classes is None
    p = model.predict(X)
    expected = -np.mean(LABELS * np.log(p) + (1 - LABELS) * np.log(1 - p))
    assert model.evaluate(X, y)["loss"] == pytest.approx(expected, rel=1e-9)
    model.fit(X, y, epochs=60)
    assert np.mean((model.predict(X) > 0.5) == LABELS) > 0.95


def test_rows_of_probabilities_are_targets_of_cross_entropy():
    for y in (SOFT, np.eye(3, dtype=int)[SOFT.argmax(axis=1)]):
        model = build(y, "cross_entropy", SOFTMAX)
        expected = -np.mean(np.sum(y * np.log(model.predict(X)), axis=1))
        assert model.evaluate(X, y)["loss"] == pytest.approx(expected, rel=1e-9)


def test_a_single_column_is_classes_if_the_loss_or_a_metric_says_so():
    y = LABELS[:, 0]
    one = {"units": 1, "activation": "sigmoid"}
    assert build(y, "binary_cross_entropy", one).classes == ("0", "1")
    assert build(y, "mean_squared_error", one, metrics=["accuracy"]).classes == ("0", "1")
    assert build(y, "mean_squared_error", one).classes is None


def test_units_of_classes_read_several_columns_as_classes():
    model = build(LABELS, "cross_entropy", {**SOFTMAX, "units": "classes"}, x=X[:, :, None])
    assert model.classes == ("0", "1")
    assert model.predict(X[:, :, None]).shape == (60, 3, 2)


def test_a_category_of_several_columns_is_classes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("data.npz", x=X[:, :, None], y=LABELS)
    data = {"source": "npz", "path": "data.npz", "target": "y", "columns": {"y": "category"}}
    layers = {"layers": [{"type": "dense", **SOFTMAX, "units": 2}]}
    model = nnreg.build(classifier(model=layers, data=data))
    assert model.classes == ("0", "1")


def test_text_in_several_columns_is_classes():
    y = np.where(LABELS, "yes", "no")
    model = build(y, "cross_entropy", {**SOFTMAX, "units": 2}, x=X[:, :, None])
    assert model.classes == ("no", "yes")


def test_outputs_for_classes_of_numbers_say_how_to_read_them_as_classes():
    with pytest.raises(SpecError) as caught:
        build(LABELS, "cross_entropy", {**SOFTMAX, "units": 2}, x=X[:, :, None])
    (found,) = caught.value.problems
    assert found.path == "$.model.layers[0]"
    assert found.message == (
        "the network gives shape (3, 2) for one example, but the target has (3,); if its numbers "
        'are classes, set "units" to "classes"'
    )


@pytest.mark.parametrize(
    ("y", "loss", "last", "message"),
    [
        (2 * LABELS - 1, "binary_cross_entropy", SIGMOIDS, "within 0 and 1, but they are from -1"),
        (LABELS * 255, "binary_cross_entropy", SIGMOIDS, "within 0 and 1, .* to 255"),
        (LABELS + 0.0, "cross_entropy", SOFTMAX, "sum to [023], not 1"),
        (0.5 * SOFT, "cross_entropy", SOFTMAX, r"sum to 0\.5, not 1"),
    ],
)
def test_targets_that_a_loss_of_probabilities_does_not_take_are_refused(y, loss, last, message):
    model = build(np.zeros_like(y) + 1 / 3, loss, last)
    with pytest.raises(DataError, match=message):
        model.fit(X, y)


def test_arrays_without_values_are_no_target():
    with pytest.raises(
        DataError, match=r"column 'target' holds arrays of shape \(0,\), which have no"
    ):
        build(np.empty((len(X), 0)), "mean_squared_error", {"units": 1})


@pytest.mark.parametrize("shape", [(60, 0), (60, 3, 0), (60, 0, 3)])
def test_arrays_without_values_are_no_input(shape):
    with pytest.raises(DataError, match="'x' has no values that the network could read; choose"):
        build(X[:, :1], "mean_squared_error", {"units": 1}, "flatten", x={"x": np.empty(shape)})


def test_classes_that_a_file_writes_as_fractions_are_numbers(tmp_path):
    rows = "".join(f"{number},{number % 2:.1f}\n" for number in range(20))
    (tmp_path / "rows.csv").write_text("x,y\n" + rows)
    data = {"source": "csv", "path": str(tmp_path / "rows.csv"), "target": "y"}
    model = nnreg.run(classifier(data=data, train={"epochs": 1}))
    assert model.classes == ("0.0", "1.0")
    assert set(model.classify({"x": np.arange(20.0)})) <= {0.0, 1.0}
