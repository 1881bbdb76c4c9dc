"""Class weights and sample weights: a row of weight 2 trains as two rows do."""

import functools
from dataclasses import dataclass, field

import h5py
import numpy as np
import pytest

import nnreg
import nnreg.tables.lazy
from nnreg import Context, DataError, Loss, PluginError, SpecError, TermLoss, Workspace
from nnreg.builtin.losses import Huber, MeanSquaredError
from nnreg.data.settings import Columns
from nnreg.data.weights import example_weights
from nnreg.interfaces import traced
from nnreg.registry.registry import installed
from nnreg.runs.prepare import prepare_from_spec
from nnreg.spec.document import read_spec
from nnreg.tables.convert import table_of
from tests.helpers.specs import blobs, classifier, csv_data, line, regressor
from tests.helpers.trained import require_resumed_in_mid_epoch
from tests.helpers.work import calls

NEEDS_AUTOGRAD = pytest.mark.skipif(not traced.installed(), reason="needs autograd")
WHOLE = {"epochs": 4, "batch_size": 1000, "kernels": "numpy"}
CLASSES = ("ash", "birch", "cedar")
WEIGHTS = np.random.default_rng(1).integers(0, 4, 40)


@dataclass(frozen=True)
class FourthPower(Loss):
    """mean((y - t)⁴), without a loss per example"""

    def forward(self, y, t):
        d = y - t
        return float(np.mean(d**4)), lambda: d**3 * (4 / d.size)


def model_of(loss, data):
    """Return a model in float64 with this loss, for a numeric target or three classes."""
    x, y = data
    classes = isinstance(y[0], str)
    layer = {"type": "dense", "units": "classes" if classes else 1}
    if classes:
        layer["activation"] = "softmax"
    network = {"layers": [{"type": "dense", "units": 4, "activation": "tanh"}, layer]}
    name = loss if isinstance(loss, str) else "mean_squared_error"
    spec = regressor(model={**network, "dtype": "float64"}, loss=name, train=WHOLE)
    return nnreg.build(spec, data=(x, y))


def assert_close(one, other):
    np.testing.assert_allclose(one.network.vector, other.network.vector, rtol=1e-9, atol=1e-12)
    losses = [[record["loss"] for record in model.history] for model in (one, other)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-9)


@pytest.mark.parametrize(
    ("loss", "made"),
    [
        ("mean_squared_error", line),
        ("mean_absolute_error", line),
        ("huber", line),
        ("log_cosh", line),
        (FourthPower(), line),
        ("cross_entropy", blobs),
        ("focal_cross_entropy", blobs),
        ("tversky", blobs),
    ],
)
def test_a_row_of_weight_2_trains_as_two_rows_do(loss, made):
    x, y = made(40)
    rows = np.repeat(np.arange(40), WEIGHTS)
    weighted, repeated, plain = models = [model_of(loss, (x, y)) for _ in range(3)]
    if isinstance(loss, Loss):
        for model in models:
            model.evaluation.loss = loss
    weighted.fit(x, y, weights=WEIGHTS)
    repeated.fit(x[rows], y[rows])
    plain.fit(x, y)
    assert_close(weighted, repeated)
    assert not np.allclose(plain.network.vector, weighted.network.vector, rtol=1e-3)


@dataclass(frozen=True)
class CountedFourthPower(FourthPower):
    """FourthPower, which counts its calls"""

    calls: list = field(default_factory=list)

    def forward(self, y, t):
        self.calls.append(len(y))
        return super().forward(y, t)


@dataclass(frozen=True)
class TermsOfFourthPower(TermLoss):
    """FourthPower by its terms, which counts its calls"""

    calls: list = field(default_factory=list)

    def terms(self, y, t, *, logits):
        self.calls.append(len(y))
        d = y - t
        return d**4, lambda: 4 * d**3


@dataclass(frozen=True)
class FormulaOfFourthPower(Loss):
    """FourthPower by the formula of its terms, which counts its calls"""

    calls: list = field(default_factory=list)

    def formula(self, y, t):
        self.calls.append(len(y))
        return (y - t) ** 4


@dataclass(frozen=True)
class FormulaOfMean(FormulaOfFourthPower):
    """FourthPower by the formula of the mean"""

    def formula(self, y, t):
        return np.mean(super().formula(y, t))


@pytest.mark.parametrize(
    "loss",
    [
        TermsOfFourthPower(),
        pytest.param(FormulaOfFourthPower(), marks=NEEDS_AUTOGRAD),
        pytest.param(FormulaOfMean(), marks=NEEDS_AUTOGRAD),
    ],
    ids=["terms", "formula of terms", "formula of their mean"],
)
def test_a_loss_of_terms_is_computed_once_for_value_and_gradient(loss):
    data = line(40)
    expected, found = (model_of(None, data) for _ in range(2))
    for model, one in ((expected, FourthPower()), (found, loss)):
        model.evaluation.loss = one
        model.fit(*data, weights=WEIGHTS)
    assert_close(found, expected)
    assert loss.calls == [40] * 4  # one batch in each epoch


def test_a_loss_without_terms_is_called_once_for_each_weight_that_examples_have():
    data, loss = line(40), CountedFourthPower()
    model = model_of(None, data)
    model.evaluation.loss = loss
    model.fit(*data, weights=WEIGHTS, epochs=1)
    assert loss.calls == [40, *np.bincount(WEIGHTS)]


class FormulaOfHalf(FormulaOfFourthPower):
    def formula(self, y, t):
        return 0.5 * np.mean(2 * super().formula(y, t))


@NEEDS_AUTOGRAD
def test_a_formula_that_ends_otherwise_is_called_for_each_weight():
    data, loss = line(40), FormulaOfHalf([])
    expected, found = (model_of(None, data) for _ in range(2))
    for model, one in ((expected, FourthPower()), (found, loss)):
        model.evaluation.loss = one
        model.fit(*data, weights=WEIGHTS, epochs=1)
    assert_close(found, expected)
    assert loss.calls == [40, *np.bincount(WEIGHTS)]


@NEEDS_AUTOGRAD
def test_a_formula_of_terms_has_one_for_each_example():
    with pytest.raises(PluginError, match=r"formula returned the shape \(2,\); expected"):
        Two().forward(np.zeros((3, 1)), np.zeros((3, 1)))


class Two(Loss):
    def formula(self, y, t):
        return np.zeros(2)


def test_sequences_are_weighted_if_the_loss_is_of_their_last_step():
    class LastStepError(MeanSquaredError):
        def forward_masked(self, y, t, mask, context, *, logits):
            last = mask.sum(axis=1) - 1
            loss, backward_fn = self.forward(y[[0, 1], last], t[[0, 1], last])

            def backward():
                dy = np.zeros_like(y)
                dy[[0, 1], last] = backward_fn()
                return dy

            return loss, backward

    y, mask = np.arange(6.0).reshape(2, 3, 1), np.array([[1, 1, 1], [1, 0, 0]], bool)
    context = Context({}, {}, {}, {}, Workspace(np.float64, reuse=False))
    _, backward = LastStepError().forward_masked_weighted(
        y, np.zeros_like(y), mask, np.array([[3.0], [0.5]]), context, logits=False
    )
    expected = np.zeros_like(y)
    expected[0, 2], expected[1, 0] = 2 * 3 / 2 * 2, 3 * 0.5
    np.testing.assert_allclose(backward(), expected)


def test_a_huge_error_of_a_row_is_weighted_without_overflow():
    y = np.array([[1e19], [1.0]], np.float32)  # its square overflows nearly, the sum of two does
    context = Context({}, {}, {}, {}, Workspace(np.float32, reuse=False))
    weights = np.array([1.9, 0.1], np.float32)
    twice, t = np.repeat(y, 2, axis=0), np.zeros((4, 1), np.float32)
    for loss in (MeanSquaredError(), Huber(1e30)):
        with np.errstate(over="ignore"):
            value, _ = loss.forward_weighted(twice, t, np.repeat(weights, 2), context, logits=False)
        expected = np.mean(np.repeat(weights, 2) * twice[:, 0].astype(float) ** 2)
        assert value * (2 if isinstance(loss, Huber) else 1) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("loss", ["cross_entropy", "mean_squared_error", "huber"])
def test_weights_add_few_calls_to_a_step(loss):
    x, y = blobs(40) if loss == "cross_entropy" else line(40)
    model, counts = model_of(loss, (x, y)), []
    for weights in (None, WEIGHTS):
        model.fit(x, y, weights=weights, epochs=1)
        few, many = (
            calls(functools.partial(model.fit, x, y, weights=weights, epochs=epochs))
            for epochs in (1, 3)
        )
        counts.append((many - few) / 2)
    assert counts[1] - counts[0] < 22


def test_only_the_ratios_of_weights_matter():
    data = line()
    one, other = model_of("huber", data), model_of("huber", data)
    one.fit(*data, weights=WEIGHTS)
    other.fit(*data, weights=WEIGHTS * 1000.0)
    assert_close(one, other)


@pytest.mark.parametrize("size", [1e308, 5e-324, 1e-200])
@pytest.mark.parametrize(
    "class_weights", [None, "balanced", {"ash": 1e300, "birch": 2e300, "cedar": 3e300}]
)
def test_weights_of_any_size_train_as_their_ratios_do(size, class_weights):
    columns = Columns(class_weights=class_weights)
    truth = np.arange(60) % 7 % 3
    found = [
        example_weights(columns, table_of(truth, ["y"]), truth, CLASSES, np.full(60, factor))
        for factor in (1.0, size)
    ]
    np.testing.assert_allclose(found[1], found[0], rtol=1e-6)
    assert np.mean(found[0]) == pytest.approx(1)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_two_classes_with_one_output_are_weighted_too(smoothing):
    x, y = line()
    y = np.where(y > 1, "yes", "no")
    loss = {"type": "binary_cross_entropy", "label_smoothing": smoothing}
    layers = [{"type": "dense", "units": 1, "activation": "sigmoid"}]
    network = {"layers": layers, "dtype": "float64"}
    weighted, repeated = (
        nnreg.build(classifier(model=network, loss=loss, train=WHOLE), data=(x, y))
        for _ in range(2)
    )
    weighted.fit(x, y, weights=WEIGHTS)
    rows = np.repeat(np.arange(40), WEIGHTS)
    repeated.fit(x[rows], y[rows])
    assert_close(weighted, repeated)


def test_every_built_in_loss_computes_the_loss_per_example_at_once():
    for entry in installed():
        if entry.kind == "loss" and entry.plugin == "nnreg":
            own = entry.cls
            assert not own.independent or own.forward_weighted is not Loss.forward_weighted


def test_balanced_classes_have_equal_total_weights():
    x, y = blobs(90)
    y[:60] = "ash"
    spec = {"class_weights": "balanced", **csv_data(scaling="none")}
    prepared = prepare_from_spec(read_spec(classifier(data=spec)), (x, y))
    sums = np.bincount(prepared.train.raw_targets, weights=prepared.train.weights)
    np.testing.assert_allclose(sums, [30, 30, 30], rtol=1e-6)
    given = np.random.default_rng(0).uniform(0, 3, 90)
    both = prepared.model.with_sample_weights(prepared.train, x, given).weights
    np.testing.assert_allclose(
        np.bincount(prepared.train.raw_targets, both), [30, 30, 30], rtol=1e-6
    )


def test_class_and_sample_weights_multiply_and_others_are_1(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.csv").write_text("a,w,species\n1,1,x\n2,2,y\n3,0,y\n4,3,z\n")
    data = csv_data(class_weights={"y": 5, "z": 0.5}, sample_weights="w")
    prepared = prepare_from_spec(read_spec(classifier(data=data)))
    assert prepared.model.preprocessing.names == ("a",)
    expected = np.array([1, 10, 0, 1.5])
    np.testing.assert_allclose(prepared.train.weights, expected / expected.mean(), rtol=1e-6)
    assert prepared.train.weights.dtype == np.float32


def test_metrics_are_unweighted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x, y = blobs(60)
    table = {**{f"x{i}": x[:, i] for i in range(4)}, "w": np.arange(60.0)}
    data = csv_data(sample_weights="w", split={"validation": 0.3}, class_weights="balanced")
    spec = classifier(data=data, model={"layers": [
        {"type": "dense", "units": "classes", "activation": "softmax"}]},
        optimizer={"type": "sgd", "learning_rate": 1e-12}, train=WHOLE)  # fmt: skip
    prepared = prepare_from_spec(read_spec(spec), (table, y))
    metrics = prepared.model.evaluation.evaluate(prepared.model.network, prepared.validation)
    (record,) = list(prepared.model.trainer(prepared.train, prepared.validation, epochs=1).epochs())
    assert record["val_loss"] == pytest.approx(metrics["loss"], rel=1e-6)
    train = prepared.model.evaluation.evaluate(prepared.model.network, prepared.train)
    assert record["accuracy"] == train["accuracy"]
    z = prepared.model.network.logits(prepared.train.x)
    each = prepared.model.evaluation.loss.per_example(z, prepared.train.targets, logits=True)
    assert record["loss"] == pytest.approx(
        np.average(each, weights=prepared.train.weights), rel=1e-5
    )
    assert abs(record["loss"] - train["loss"]) > 1e-3


def images(count=130):
    rng = np.random.default_rng(0)
    return rng.normal(size=(count, 12, 12, 2)).astype(np.float32), rng.integers(0, 3, count)


def convolution(**train):
    layers = [
        {"type": "conv2d", "filters": 16, "padding": "same", "activation": "relu"},
        {"type": "flatten"},
        {"type": "dense", "units": "classes", "activation": "softmax"},
    ]
    train = {"epochs": 2, "batch_size": 64, "kernels": "numpy", **train}
    model = {"layers": layers, "dtype": "float64"}
    return nnreg.build(classifier(model=model, train=train), data=images())


def test_shards_and_microbatches_give_the_same_result(monkeypatch):
    weights = np.random.default_rng(2).uniform(0, 3, 130)
    one = convolution(shards=1)
    one.fit(*images(), weights=weights)
    divided = convolution(shards=3, threads=3)
    divided.fit(*images(), weights=weights)
    again = convolution(shards=3, threads=2)
    again.fit(*images(), weights=weights)
    assert_close(one, divided)
    assert divided.network.vector.tobytes() == again.network.vector.tobytes()
    monkeypatch.setattr(
        "nnreg.training.gradient.CACHED_VALUES", 12 * one.network.activations_per_example
    )
    split = convolution(shards=1)
    split.fit(*images(), weights=weights)
    assert_close(one, split)


def test_accumulated_batches_equal_one_batch():
    x, y = blobs(60)
    weights = np.random.default_rng(2).uniform(0, 3, 60)
    models = []
    for train in ({"batch_size": 40}, {"batch_size": 20, "accumulate": 2}):
        layers = [{"type": "dense", "units": "classes", "activation": "softmax"}]
        spec = classifier(model={"layers": layers, "dtype": "float64"}, train=train)
        models.append(nnreg.build(spec, data=(x, y)))
        models[-1].fit(x, y, weights=weights, epochs=3)
    assert_close(*models)


@pytest.mark.parametrize("stream", [False, True])
def test_a_run_resumes_bit_identically_in_mid_epoch(tmp_path, monkeypatch, stream):
    monkeypatch.setattr(nnreg.tables.lazy, "BLOCK", 32)
    monkeypatch.setattr(nnreg.tables.lazy, "WINDOW", 256)
    monkeypatch.chdir(tmp_path)
    x, y = blobs(200)
    with h5py.File("d.h5", "w") as file:
        file["x"], file["w"] = x, np.random.default_rng(0).uniform(0, 3, 200)
        file["y"] = np.unique(y, return_inverse=True)[1]
    data = {"source": {"type": "hdf5", "stream": stream}, "path": "d.h5", "target": "y",
            "class_weights": "balanced", "sample_weights": "w",
            "split": {"validation": 0.2}}  # fmt: skip
    spec = classifier(data=data, train={"epochs": 3, "batch_size": 7, "accumulate": 2})
    require_resumed_in_mid_epoch(spec, batches=5)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("a,w,species\n1,1,x\n2,-2,y\n", {}, r"line 3, column 'w': found -2, expected a weight"),
        ("a,w,species\n1,NA,x\n2,2,y\n", {}, r"line 2, column 'w': found a missing value"),
        ("a,w,species\n1,big,x\n2,2,y\n", {}, "found 'big' among numbers|found 'big', expected"),
        ("a,w,species\n1,0,x\n2,0,y\n", {}, "every example has weight 0"),
        ("a,weight,species\n1,0,x\n", {"sample_weights": "wieght"}, "did you mean 'weight'"),
    ],
)
def test_an_invalid_weight_is_reported_with_its_location(tmp_path, text, options, message):
    (tmp_path / "data.csv").write_text(text)
    data = csv_data(path=str(tmp_path / "data.csv"), **{"sample_weights": "w", **options})
    with pytest.raises(DataError, match=message):
        prepare_from_spec(read_spec(classifier(data=data)))


def test_an_invalid_weight_is_reported_in_any_split(tmp_path):
    rows = "".join(f"{i},{-1 if i == 9 else 1},{'xy'[i % 2]}\n" for i in range(10))
    (tmp_path / "data.csv").write_text("a,w,species\n" + rows)
    split = {"validation": 0.2, "order": True}
    data = csv_data(path=str(tmp_path / "data.csv"), sample_weights="w", split=split)
    with pytest.raises(DataError, match="line 11, column 'w': found -1"):
        prepare_from_spec(read_spec(classifier(data=data)))


def test_class_weights_name_existing_classes():
    x, y = blobs()
    data = csv_data(class_weights={"beech": 2})
    with pytest.raises(SpecError, match=r"class_weights: no class 'beech'; did you mean 'birch'"):
        prepare_from_spec(read_spec(classifier(data=data)), (x, y))
    data = csv_data(target="length", class_weights="balanced")
    with pytest.raises(SpecError, match=r"class_weights: the target is numeric"):
        prepare_from_spec(read_spec(regressor(data=data)), line())
    with pytest.raises(SpecError, match="class_weights"):
        read_spec(classifier(data=csv_data(class_weights={"ash": -1})))


def test_weights_are_never_an_input():
    data = csv_data(sample_weights="depth", inputs=["length", "depth"])
    with pytest.raises(SpecError, match="'depth' is used as sample_weights and cannot be an input"):
        read_spec(classifier(data=data))


def test_one_weight_per_row_is_passed_in():
    x, y = blobs()
    model = nnreg.build(classifier(), data=(x, y))
    with pytest.raises(DataError, match="60 rows, but 59 weights"):
        model.fit(x, y, weights=np.ones(59))
    with pytest.raises(DataError, match="row 3, column 'weights': found -1"):
        model.fit(x, y, weights=[1, 1, 1, -1] + [1] * 56)
    assert not model.history
