"""What the estimators promise beside the checks of scikit-learn."""

import os
import pickle
import sys

import numpy as np
import pytest

import nnreg

# They are cheap, and run by default where scikit-learn is installed; of the sessions, `verify` has
# it, which runs marked tests only.
pytestmark = [pytest.mark.verify] if "NNREG_VERIFY" in os.environ else []


def test_without_scikit_learn_the_import_says_how_to_install_it(monkeypatch):
    for name in [one for one in sys.modules if one.startswith("nnreg.sklearn")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ImportError, match=r"pip install 'nnreg\[sklearn\]'"):
        import nnreg.sklearn  # noqa: F401


@pytest.fixture(scope="module")
def library():
    return pytest.importorskip(
        "sklearn", reason="scikit-learn is not installed; it comes with the extra sklearn"
    )


RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
Y = np.array(["low", "middle", "high"])[np.digitize(X[:, 0], [-0.5, 0.5])]


def classifier(**arguments):
    from nnreg.sklearn import NNClassifier

    return NNClassifier(
        **{"hidden": 8, "epochs": 20, "learning_rate": 0.05, "random_state": 0, **arguments}
    )


def regressor(**arguments):
    from nnreg.sklearn import NNRegressor

    return NNRegressor(
        **{"hidden": (8,), "epochs": 20, "learning_rate": 0.05, "random_state": 0, **arguments}
    )


@pytest.fixture(scope="module")
def fitted(library):
    return classifier().fit(X, Y)


def test_a_fitted_estimator_is_a_model_of_nnreg(fitted, tmp_path):
    assert fitted.classes_.tolist() == ["high", "low", "middle"]
    assert fitted.score(X, Y) > 0.8
    assert fitted.n_iter_ == len(fitted.loss_curve_) == 20
    fitted.save(tmp_path / "saved.h5")
    loaded = nnreg.load(tmp_path / "saved.h5")
    assert (loaded.classify(X) == fitted.predict(X)).all()
    again = pickle.loads(pickle.dumps(fitted))
    assert (again.predict_proba(X) == fitted.predict_proba(X)).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"activation": "rleu"}, "no activation 'rleu'; did you mean 'relu'"),
        ({"hidden": (0,)}, r"\$.model.layers\[0\].units: must be greater than 0"),
        ({"learning_rate": -1}, "learning_rate: must be greater than 0"),
        ({"loss": "huber"}, "loss: .* of numbers; .* NNRegressor"),
        ({"data": {"missng": 1}}, "did you mean 'missing'"),
        ({"data": 3}, "data: found 3"),
        ({"spec": {"model": 1}}, "hidden: the spec has its value"),
        ({"class_weight": "even"}, "class_weight: found 'even'"),
        ({"class_weight": {"far": 1}}, "class_weight: no class 'far'"),
        ({"overrides": {"train.epoch": 1}}, "did you mean 'epochs'"),
        ({"overrides": "train.epochs=1"}, "overrides: found"),
        ({"learning_rate": 1e300}, "the loss is not finite"),
    ],
    ids=str,
)
def test_a_wrong_argument_is_a_value_error_that_names_it(library, arguments, message):
    with pytest.raises(ValueError, match=message):
        classifier(**arguments).fit(X, Y)


def test_classes_that_nnreg_reads_as_one_are_refused(library):
    with pytest.raises(ValueError, match="mean the same"):
        classifier(epochs=1).fit(X, np.array(["1", "1.0", "c"] * 20))


def test_a_weight_is_a_number_of_equal_rows(library):
    weights = RNG.integers(0, 3, len(X))
    rows = np.repeat(np.arange(len(X)), weights)
    one = classifier(class_weight="balanced").fit(X, Y, weights)
    other = classifier(class_weight="balanced").fit(X[rows], Y[rows])
    np.testing.assert_allclose(one.predict_proba(X), other.predict_proba(X), rtol=1e-9)


def test_a_warm_start_continues_with_the_same_bits(library):
    at_once = classifier().fit(X, Y)
    in_two = classifier(warm_start=True, epochs=5).fit(X, Y).set_params(epochs=15).fit(X, Y)
    assert (at_once.predict_proba(X) == in_two.predict_proba(X)).all()
    rate = in_two.set_params(learning_rate=1e-9, epochs=1).fit(X, Y)
    np.testing.assert_allclose(rate.predict_proba(X), at_once.predict_proba(X), rtol=1e-6)
    with pytest.raises(ValueError, match="warm_start: the layers have changed"):
        in_two.set_params(hidden=4).fit(X, Y)


def test_batches_of_partial_fit_need_not_have_all_classes(library):
    estimator = classifier()
    order = np.argsort(X[:, 0])
    with pytest.raises(ValueError, match="classes: needed"):
        estimator.partial_fit(X, Y)
    for _ in range(3):
        for part in np.split(order, 3):
            estimator.partial_fit(X[part], Y[part], classes=np.unique(Y))
    assert estimator.n_iter_ == 9
    assert estimator.predict_proba(X).shape == (60, 3)


def test_the_kind_of_output_follows_from_the_loss(library):
    margins = classifier(loss="multi_margin").fit(X, Y)
    assert not hasattr(margins, "predict_proba")
    assert (margins.classes_[margins.decision_function(X).argmax(1)] == margins.predict(X)).all()
    two = classifier(loss="hinge").fit(X, Y == "low")
    assert ((two.decision_function(X) > 0) == two.predict(X)).all()
    several = classifier(loss="binary_cross_entropy", epochs=2).fit(X, Y)
    np.testing.assert_allclose(several.predict_proba(X).sum(1), 1)


def test_a_spec_needs_no_data_and_is_changed_by_overrides(library):
    spec = {
        "model": {"layers": [{"type": "dense", "units": "classes", "activation": "softmax"}]},
        "loss": "cross_entropy",
        "optimizer": "adam",
        "train": {"epochs": 500},
    }
    plain = {"hidden": (64, 32), "epochs": 200, "learning_rate": None}
    few = classifier(spec=spec, overrides={"train.epochs": np.int64(3)}, **plain).fit(X, Y)
    assert few.n_iter_ == 3
    assert spec["train"]["epochs"] == 500
    spec["train"] |= {"folds": 3, "early_stopping": {"patience": 2}}
    spec["data"] = {"source": "csv", "path": "none.csv", "target": "t", "split": {"test": 0.5}}
    held_out = classifier(spec=spec, overrides={"train.epochs": 3}, **plain).fit(X, Y)
    (column,) = held_out.model_.preprocessing.inputs
    np.testing.assert_allclose(column.encoder.mean, X.mean(), rtol=1e-6)  # of all rows
    assert "val_loss" in held_out.model_.history.names
    with pytest.raises(ValueError, match="early_stopping: partial_fit"):
        held_out.partial_fit(X, Y)
    with pytest.raises(ValueError, match="predicts classes; use NNClassifier"):
        regressor(spec=spec, **plain).fit(X, X[:, 0] > 0)


def test_early_stopping_holds_rows_out_and_keeps_the_best_epoch(library):
    estimator = classifier(early_stopping=True, patience=2, epochs=400, dropout=0.2).fit(X, Y)
    assert estimator.n_iter_ < 400
    assert "val_loss" in estimator.model_.history.names


def test_a_data_frame_may_have_texts_and_missing_values(library, tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"size": X[:, 0], "kind": ["a", "b", None] * 20})
    target = pandas.Series(X[:, 0] + (frame["kind"] == "a"), name="price")
    estimator = regressor(data={"missing": "indicate"}, epochs=60).fit(frame, target)
    assert estimator.feature_names_in_.tolist() == ["size", "kind"]
    assert estimator.score(frame, target) > 0.8
    assert estimator.model_.preprocessing.target_names == ("price",)
    with pytest.raises(ValueError, match="Feature names"):
        estimator.predict(frame.rename(columns={"size": "width"}))


def test_several_numbers_are_predicted_in_their_shape(library):
    targets = X[:, :2] * 2
    assert regressor().fit(X, targets).predict(X).shape == (60, 2)
    assert regressor(loss="poisson").fit(X, targets[:, 0] ** 2).predict(X).min() > 0
