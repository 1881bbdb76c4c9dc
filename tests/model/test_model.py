"""The model in Python: its inputs, its outputs, and its representation."""

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import nnreg
from nnreg import DataError, UsageError
from nnreg.training.history import History
from tests.helpers.specs import CSV, blobs, classifier, csv_data, line, regressor


@pytest.fixture
def model():
    data = blobs()
    model = nnreg.build(classifier(), data=data)
    model.fit(*data)
    return model


def test_predictions_are_probabilities_and_classify_returns_class_names(model):
    x, y = blobs()
    p = model.predict(x)
    assert p.shape == (60, 3)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-6)
    assert model.classify(x).tolist() == [model.classes[k] for k in p.argmax(axis=1)]
    assert np.mean(model.classify(x) == y) == model.evaluate(x, y)["accuracy"]


def test_lists_arrays_and_array_likes_are_accepted(model):
    class Column:
        def __array__(self, dtype=None, copy=None):
            return np.array(blobs()[0], dtype)

    x = blobs()[0]
    expected = model.predict(x)
    for rows in (x.tolist(), Column(), x.astype(np.float32), np.asfortranarray(x)):
        np.testing.assert_allclose(model.predict(rows), expected, rtol=1e-5)


def test_a_data_frame_is_matched_by_column_name(tmp_path, monkeypatch):
    import pandas

    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.csv").write_text(CSV)
    model = nnreg.run(classifier(data=csv_data()))
    frame = pandas.read_csv("data.csv")
    shuffled = frame[["depth", "species", "length", "island"]]
    np.testing.assert_array_equal(model.predict(frame), model.predict(shuffled))
    assert model.evaluate(frame, frame["species"])["loss"] == pytest.approx(
        model.evaluate(frame, frame[["species"]])["loss"]
    )


def test_assigning_a_parameter_writes_into_the_network(model):
    x, y = blobs()
    model.parameters["layers/0/weight"] = np.zeros_like(model.parameters["layers/0/weight"])
    assert not model.network.vector[: model.parameters["layers/0/weight"].size].any()
    assert not model.gradients(x, y)[1]["layers/0/weight"].flags.owndata
    with pytest.raises(KeyError, match="no array 'layers/0/weights'; did you mean 'layers/0/weigh"):
        model.parameters["layers/0/weights"]
    with pytest.raises(ValueError, match="broadcast"):
        model.parameters["layers/0/weight"] = np.zeros((7, 7))


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"epochs": -1}, UsageError, "epochs: found -1, expected a non-negative integer"),
        ({"epochs": 1.5}, UsageError, "epochs: found 1.5"),
        ({"validation": blobs()[0]}, UsageError, r"validation: expected \(x, y\)"),
        ({"validation": ([], [])}, DataError, "no rows|shape"),
    ],
)
def test_invalid_arguments_of_fit_are_refused_before_training(model, given, error, message):
    before = model.network.vector.copy()
    with pytest.raises(error, match=message):
        model.fit(*blobs(), **given)
    np.testing.assert_array_equal(model.network.vector, before)


def test_empty_data_cannot_be_evaluated_or_trained_on(model):
    x, y = blobs()
    for use in (model.fit, model.evaluate, model.gradients):
        with pytest.raises(DataError, match="there are no rows"):
            use(x[:0], y[:0])


def test_the_name_of_a_file_is_refused_as_rows(model, tmp_path):
    for name in ("rows.csv", tmp_path / "rows.csv"):
        with pytest.raises(DataError, match=r"rows\.csv: expected rows, not a file name"):
            model.predict(name)


@pytest.mark.parametrize("data", [blobs()[0], (blobs()[0],), list(blobs())])
def test_data_must_be_inputs_and_targets(data):
    with pytest.raises(UsageError, match=r"data: expected \(x, y\)"):
        nnreg.build(classifier(), data=data)


def test_one_row_and_no_row_are_predicted(model):
    x = blobs()[0]
    np.testing.assert_allclose(model.predict(x[:1]), model.predict(x)[:1], rtol=1e-5)
    assert model.predict(x[:0]).shape == (0, 3)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((2, 5)), r"examples of shape \(5,\); the model expects \(4,\)"),
        ([[1, 2], [3]], "differ in length"),
        ([["a", "b", "c", "d"]], "expected a number"),
        (np.full((1, 4), np.nan), "the value is missing"),
        (np.full((1, 4), np.inf), "an infinite value"),
        (np.zeros((1, 4), complex), "values of type complex"),
    ],
)
def test_rows_that_do_not_fit_are_refused(model, x, message):
    with pytest.raises(DataError, match=message):
        model.predict(x)


@pytest.mark.filterwarnings("error")
def test_a_prediction_that_is_not_finite_is_refused_with_its_row():
    x, y = line()
    model = nnreg.build(regressor(model={"layers": [{"type": "dense", "units": 1}]}), data=(x, y))
    model.parameters["layers/0/weight"][...] = 1e30
    with pytest.raises(DataError, match="row 2: the prediction is not finite"):
        model.predict([[0, 0], [1, 1], [1e20, 0]])


def test_targets_that_do_not_fit_are_refused(model):
    x, y = blobs()
    with pytest.raises(DataError, match="60 rows of inputs, but 59 of targets"):
        model.evaluate(x, y[:59])
    with pytest.raises(DataError, match="unknown class 'oak'; choose one of ash"):
        model.evaluate(x[:1], ["oak"])


def test_a_model_with_a_numeric_target_has_no_classes():
    model = nnreg.build(regressor(), data=line())
    assert model.classes is None
    with pytest.raises(DataError, match="use predict"):
        model.classify(line()[0])


@pytest.mark.parametrize("shape", [(40,), (40, 1)])
def test_numeric_targets_may_have_one_or_two_axes(shape):
    x, y = line()
    model = nnreg.build(regressor(), data=(x, y))
    assert model.evaluate(x, y.reshape(shape)) == model.evaluate(x, y)


def test_gradients_are_those_of_finite_differences():
    x, y = blobs()
    spec = classifier(model={**classifier()["model"], "dtype": "float64"})
    model = nnreg.build(spec, data=(x, y))
    loss, gradients = model.gradients(x, y)
    assert loss == model.evaluate(x, y)["loss"]
    assert gradients.keys() == model.parameters.keys()
    for name, array in model.parameters.items():
        for index in np.ndindex(array.shape):
            original, losses = array[index], []
            for step in (1e-5, -1e-5):
                array[index] = original + step
                losses.append(model.evaluate(x, y)["loss"])
            array[index] = original
            difference = (losses[0] - losses[1]) / 2e-5
            assert gradients[name][index] == pytest.approx(difference, rel=1e-6, abs=1e-9)


def test_gradients_do_not_modify_the_model(model):
    before = model.network.vector.copy()
    model.gradients(*blobs())
    np.testing.assert_array_equal(model.network.vector, before)


def test_parameters_can_be_written(model):
    model.parameters["layers/0/weight"][...] = 0
    p = model.predict(blobs()[0])
    np.testing.assert_array_equal(p, np.broadcast_to(p[0], p.shape))


def test_it_predicts_in_threads_while_it_trains():
    x, y = blobs(600)
    model = nnreg.build(classifier(optimizer={"type": "sgd", "learning_rate": 1e-30}), data=(x, y))
    expected = model.predict(x)
    with ThreadPoolExecutor(4) as pool:
        training = pool.submit(model.fit, x, y, epochs=5)
        found = list(pool.map(lambda _: model.predict(x), range(40)))
        training.result()
    for predictions in found:
        np.testing.assert_array_equal(predictions, expected)


def test_fit_without_epochs_trains_only_those_of_the_spec():
    data = blobs()
    model = nnreg.build(classifier(), data=data)
    seen = []
    model.fit(*data, on_epoch=lambda record: seen.append(record["epoch"]))
    model.fit(*data, on_epoch=lambda record: seen.append(record["epoch"]))
    assert seen == [1, 2, 3, 4, 5]


def test_training_from_the_best_weights_starts_a_new_history(model):
    model.use_best()
    model.fit(*blobs(), epochs=1)  # the last epoch was the best: nothing changed
    assert len(model.history) == 6
    model.training_state.best_epoch = 3
    model.use_best()
    model.fit(*blobs(), epochs=2)
    assert model.history["epoch"].tolist() == [1, 2]


def test_the_summary_lists_layers_shapes_and_counts(model):
    assert model.summary().splitlines() == [
        "layer     type     output      parameters",
        "layers/0  dense    (batch, 8)          40",
        "layers/1  dropout  (batch, 8)           0",
        "layers/2  dense    (batch, 3)          27",
        "input (batch, 4), 67 parameters",
    ]


def test_the_history_has_columns_and_records(model):
    history = model.history
    assert len(history) == 5
    assert history["loss"].shape == (5,)
    assert history[-1]["epoch"] == 5
    assert history[1:3] == list(history)[1:3]
    assert repr(history).startswith("History(5 epochs; last: epoch=5, loss=")
    with pytest.raises(KeyError, match="no column 'los'; there are epoch, loss, accuracy"):
        history["los"]


def test_a_history_plots_its_losses_and_marks_the_best_epoch():
    records = [{"epoch": n, "loss": 1 / n, "val_loss": abs(n - 3) + 0.05} for n in range(1, 6)]
    svg = History(records).svg("a <b>")
    for text in ("a &lt;b&gt;", ">training<", ">validation<", ">best epoch 3<", ">0.1<"):
        assert text in svg
    negative = [{"epoch": n, "loss": 1.0 - n} for n in range(1, 6)]
    assert ">−4<" in History(negative).svg("linear")
    for invalid in (records[:1], [{"epoch": n, "loss": math.nan} for n in (1, 2)]):
        with pytest.raises(ValueError, match=r"at least two epochs are needed|no loss is finite"):
            History(invalid).svg("invalid")


def test_a_model_has_no_epochs_before_training():
    empty = nnreg.build(classifier(), data=blobs())
    assert repr(empty.history) == "History(no epochs yet)"


def test_a_probability_of_exactly_one_half_is_the_first_class():
    x, y = blobs()
    two = [{"type": "dense", "units": 1, "activation": "sigmoid"}]
    spec = classifier(model={"layers": two}, loss="binary_cross_entropy")
    model = nnreg.build(spec, data=(x, np.where(y == "ash", "no", "yes")))
    model.network.vector[...] = 0
    assert (model.predict(x) == 0.5).all()
    assert set(model.classify(x)) == {"no"}
    model.parameters["layers/0/bias"] = 1e-3
    assert set(model.classify(x)) == {"yes"}
