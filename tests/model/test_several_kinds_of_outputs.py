"""Outputs with metrics of scores or with names, and losses of other shapes or whole batches."""

import csv
import json
from dataclasses import dataclass

import numpy as np
import pytest

import nnreg
from nnreg import Loss, Section, SpecError, builtin, hookimpl
from nnreg.builtin.losses import Quantile
from nnreg.builtin.metrics import Auc
from nnreg.cli.app import main
from nnreg.registry.registry import Registry, installed
from nnreg.reports.report import report
from nnreg.training.trainer import Trainer
from tests.helpers.schemas import validator

RNG = np.random.default_rng(3)
ROWS = 120
X = RNG.normal(size=(ROWS, 4))
PRICE = 5 + 20 * X[:, 0] + RNG.normal(size=ROWS)
STYLE = np.array(["a", "b", "c"])[(X[:, 2] > 0.3).astype(int) + (X[:, 3] > 0)]
LEVELS = (0.1, 0.5, 0.9)
Y = {"price": PRICE, "style": STYLE}


@dataclass(frozen=True)
class Spread(Loss):
    """Mean of (y - mean(y))², which compares the examples of a batch"""

    independent = False
    predicts_target = False
    takes_target = False

    def forward(self, y, t):
        assert t.shape == (len(y), 0)
        difference = y - y.mean(axis=0)
        return float(np.mean(difference**2)), lambda: 2 * difference / y.size


@dataclass(frozen=True)
class Grouped(Loss):
    """Mean of (y - mean of the class)², of embeddings of any width"""

    takes_labels = True
    classification = True
    independent = False
    predicts_target = False

    def fits(self, output, target, classes):
        return classes is not None and len(output) == 1 and target == ()

    def forward(self, y, t):
        difference = y - np.stack([y[t == one].mean(axis=0) for one in t])
        return float(np.mean(difference**2)), lambda: 2 * difference / y.size


@pytest.fixture(autouse=True)
def plugin():
    class Plugin:
        @hookimpl
        def nnreg_losses(self):
            return {"spread": Spread, "grouped": Grouped}

    before = set(installed().plugins)
    nnreg.register(Plugin())
    yield
    for name in set(installed().plugins) - before:
        installed().remove(name)


def spec(epochs=30, loss=None, metrics=None, layers=(), **train):
    named = [{"type": "accuracy", "name": "hits"}, {"type": "top_k_accuracy", "k": 2}]
    return {
        "model": {
            "dtype": "float64",
            "layers": [
                {"type": "dense", "units": 16, "activation": "tanh", "name": "trunk"},
                {"type": "dense", "units": 3, "name": "price"},
                {"type": "dense", "units": "classes", "activation": "softmax", "inputs": "trunk",
                 "name": "style"}, *layers]},
        "loss": {"price": {"type": "quantile", "quantiles": list(LEVELS)},
                 "style": "cross_entropy", **(loss or {})},
        "metrics": {"price": ["r2"], "style": named, **(metrics or {})},
        "optimizer": {"type": "adam", "learning_rate": 0.02},
        "train": {"epochs": epochs, "batch_size": 40, **train},
    }  # fmt: skip


def summary_of(directory):
    return json.loads((directory / "summary.json").read_text())


EMBEDDING = {
    "loss": {"code": {"type": "grouped", "weight": 0.1, "target": "style"}},
    "layers": [{"type": "dense", "units": 3, "inputs": "trunk", "name": "code"}],
}


def test_metrics_of_scores_and_names_are_recorded_and_compared_for_each_output(tmp_path):
    model = nnreg.run(spec(), data=(X, Y), out=tmp_path / "out")
    names = ["price_loss", "price_r2", "style_loss", "style_hits", "style_top_k_accuracy"]
    last = model.history[-1]
    assert [one for one in last if not one.startswith("val_")] == ["epoch", "loss", *names]
    assert last["style_top_k_accuracy"] > last["style_hits"] > 0.7
    summary = summary_of(tmp_path / "out")
    assert summary["baseline"].keys() == {"price_r2", "style_hits", "style_top_k_accuracy"}
    assert [one["metric"] for one in summary["verdicts"].values()] == ["price_r2", "style_hits"]
    assert summary["verdict"] == summary["verdicts"]["price"]


def test_the_baseline_of_a_metric_of_scores_has_the_class_frequencies(tmp_path):
    changed = spec(metrics={"style": [{"type": "top_k_accuracy", "k": 2}]})
    nnreg.run(changed, data=(X, Y), out=tmp_path / "out")
    summary = summary_of(tmp_path / "out")
    verdict, name = summary["verdicts"]["style"], "style_top_k_accuracy"
    assert (verdict["metric"], verdict["guess"]) == (name, "the class frequencies")
    assert verdict["value"] == summary[verdict["part"]][name]
    assert verdict["guess_value"] == summary["baseline"][name]


def test_auc_is_that_of_the_output():
    two = {"price": PRICE, "style": np.where(STYLE == "a", "no", "yes")}
    changed = spec(epochs=5, metrics={"style": ["auc"]})
    model = nnreg.build(changed, data=(X, two))
    model.fit(X, two)
    scores = model.probabilities(X)["style"]
    expected = Auc().compute(scores, (two["style"] == "yes").astype(int))
    assert model.evaluate(X, two)["style_auc"] == pytest.approx(expected, abs=1e-12)


def test_quantiles_of_an_output_are_in_the_units_of_its_target(tmp_path):
    model = nnreg.build(spec(epochs=150), data=(X, Y))
    model.fit(X, Y)
    found = model.predict(X)["price"]
    assert found.shape == (ROWS, 3)
    inside = np.mean((found[:, 0] <= PRICE) & (found[:, 2] >= PRICE))
    assert 0.5 < inside < 1
    error = PRICE - found[:, 1]
    expected = 1 - np.sum(error**2) / np.sum((PRICE - PRICE.mean()) ** 2)
    result = model.evaluate(X, Y)
    assert result["price_r2"] == pytest.approx(expected, abs=1e-12)
    assert expected > 0.8
    nnreg.save(model, tmp_path / "m.h5")
    again = nnreg.load(tmp_path / "m.h5")
    np.testing.assert_array_equal(again.predict(X)["price"], found)
    (target,) = {one.target for one in again.outputs.values() if one.name == "price"}
    scaled = target.scale(PRICE[:, None])
    of_quantiles = Quantile(LEVELS).forward((found - target.mean) / target.std, scaled)[0]
    assert result["price_loss"] == pytest.approx(of_quantiles, rel=1e-6)


def test_the_fingerprint_of_a_loss_is_of_an_output_that_it_takes():
    changed = spec()
    price, style = changed["model"]["layers"][1:]
    price["units"], price["name"], price["inputs"] = 4, "price", "trunk"
    changed["loss"]["price"]["quantiles"] = [0.1, 0.4, 0.6, 0.9]
    changed["model"]["layers"][1:] = [style, price]
    changed["loss"] = {name: changed["loss"][name] for name in ("style", "price")}
    for one in nnreg.build(changed, data=(X, Y)).components:
        if one["kind"] == "loss":
            assert one["probes"], one["name"]


def test_the_schema_has_names_of_metrics_of_outputs():
    validator().validate(spec(**EMBEDDING) | {"loss": spec()["loss"]})
    assert not validator().is_valid(spec(metrics={"style": [{"type": "accuracy", "name": 3}]}))


def test_outputs_that_do_not_fit_a_loss_are_reported_at_their_layer():
    changed = spec()
    changed["model"]["layers"][1]["units"] = 2
    with pytest.raises(SpecError, match=r"layers\[1\].* takes 3 outputs for each target"):
        nnreg.build(changed, data=(X, Y))


def test_embeddings_are_an_output_without_metrics_verdict_or_classes(tmp_path):
    model = nnreg.run(spec(epochs=3, **EMBEDDING), data=(X, Y), out=tmp_path / "out")
    assert summary_of(tmp_path / "out")["verdicts"].keys() == {"price", "style"}
    assert model.predict(X)["code"].shape == (ROWS, 3)
    assert model.classify(X).keys() == {"style"}
    np.testing.assert_array_equal(model.probabilities(X)["code"], model.predict(X)["code"])
    changed = spec(**EMBEDDING, metrics={"code": ["accuracy"]})
    with pytest.raises(SpecError, match=r"metrics.code\[0\]: accuracy compares predictions with"):
        nnreg.build(changed, data=(X, Y))


@pytest.mark.parametrize("embedding", [{}, EMBEDDING], ids=["without", "with"])
def test_a_loss_that_compares_examples_makes_batches_whole(monkeypatch, embedding):
    monkeypatch.setattr("nnreg.training.parallelism.MIN_ACTIVATIONS_FOR_SHARDING", 0)
    monkeypatch.setattr("nnreg.training.gradient.CACHED_VALUES", 1)
    model = nnreg.build(spec(threads=2, **embedding), data=(X, Y))
    trainer = model.trainer(model.examples(X, Y))
    assert isinstance(trainer, Trainer)
    assert (trainer.shards > 1) != bool(embedding)
    assert model.evaluation.independent != bool(embedding)


def test_a_loss_that_compares_examples_is_evaluated_on_batches():
    model = nnreg.build(spec(**EMBEDDING), data=(X, Y))
    model.fit(X, Y, epochs=1)
    z, t = model.predict(X)["code"], np.searchsorted(["a", "b", "c"], STYLE)
    parts = [slice(start, start + 40) for start in range(0, ROWS, 40)]
    expected = np.mean([Grouped().forward(z[one], t[one])[0] for one in parts])
    found = model.evaluate(X, Y)
    assert found["code_loss"] == pytest.approx(expected, rel=1e-12)
    total = found["price_loss"] + found["style_loss"] + 0.1 * found["code_loss"]
    assert found["loss"] == pytest.approx(total, rel=1e-12)


def test_accumulated_batches_and_weights_are_refused_with_such_a_loss():
    with pytest.raises(SpecError, match=r"train.accumulate: the loss of code compares the exam"):
        nnreg.build(spec(accumulate=2, **EMBEDDING), data=(X, Y))
    model = nnreg.build(spec(**EMBEDDING), data=(X, Y))
    with pytest.raises(nnreg.DataError, match="remove the weights"):
        model.fit(X, Y, weights=np.ones(ROWS))


def test_a_loss_without_a_target_gets_targets_without_columns():
    changed = spec(epochs=2, loss={"trunk": {"type": "spread", "weight": 0.1}})
    model = nnreg.build(changed, data=(X, Y))
    model.fit(X, Y)
    found = model.evaluate(X, Y)
    parts = [model.predict(X)["trunk"][start : start + 40] for start in range(0, ROWS, 40)]
    expected = np.mean([Spread().forward(one, np.empty((40, 0)))[0] for one in parts])
    assert found["trunk_loss"] == pytest.approx(expected, rel=1e-12)


def test_names_in_the_records_are_of_one_number_each():
    layers = [{"type": "dense", "units": 1, "inputs": "trunk", "name": "val"}]
    loss = {"val": {"type": "huber", "target": "price"}}
    with pytest.raises(SpecError, match=r"loss.val: the name val_loss in the records is already"):
        nnreg.build(spec(layers=layers, loss=loss), data=(X, Y))
    layers[0]["name"], loss = "price_x", {"price_x": {"type": "huber", "target": "price"}}
    metrics = {"price": [{"type": "r2", "name": "x_loss"}]}
    with pytest.raises(SpecError, match=r"the name price_x_loss in the records is already in use"):
        nnreg.build(spec(layers=layers, loss=loss, metrics=metrics), data=(X, Y))


@pytest.fixture
def table(tmp_path, monkeypatch):
    """Write data.csv and a spec of it; return the spec."""
    monkeypatch.chdir(tmp_path)
    with (tmp_path / "data.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["p", "q", "r", "s", "price", "style"])
        writer.writerows(
            [*x, price, style] for x, price, style in zip(X, PRICE, STYLE, strict=True)
        )
    changed = spec(epochs=3)
    changed["data"] = {
        "source": "csv",
        "path": "data.csv",
        "target": {"price": "price", "style": "style"},
        "split": {"validation": 0.2, "test": 0.2},
    }
    (tmp_path / "spec.json").write_text(json.dumps(changed))
    return changed


def run(*args):
    """Run a command that succeeds."""
    with pytest.raises(SystemExit) as raised:
        main(list(args))
    assert raised.value.code == 0


def test_the_command_line_predicts_and_evaluates_each_output(table, capsys):
    run("run", "spec.json", "--out", "out")
    printed = capsys.readouterr().out
    assert "style_hits" in printed
    assert "price_r2" in printed
    run("predict", "out", "data.csv")
    head = capsys.readouterr().out.splitlines()[0].split(",")
    assert head == [
        "prediction_price_0.1", "prediction_price_0.5", "prediction_price_0.9", "prediction_style",
        "probability_style_a", "probability_style_b", "probability_style_c",
    ]  # fmt: skip


def test_a_plugin_sees_the_predictions_of_each_output_in_a_report(table):
    seen = []

    class Reporting:
        @hookimpl
        def nnreg_report_sections(self, report):
            seen.append(report)
            return [Section("Seen", [", ".join(report.outputs)])]

    registry = Registry()
    registry.add_plugin("nnreg", builtin, "nnreg", "0.1.0")
    registry.add_plugin("seen", Reporting(), "nnreg-seen", "1.0")
    nnreg.run("spec.json", out="out")
    assert "<p>price, style</p>" in report("out", registry=registry).read_text()
    (view,) = seen
    assert view.held_out is view.outputs["price"]
    assert view.outputs["style"].classes == ("a", "b", "c")
    right = np.mean(view.outputs["style"].true_values == view.outputs["style"].predictions)
    assert right == pytest.approx(view.summary["test"]["style_hits"])


def test_the_command_line_shows_a_run_that_predicts_no_target(table, tmp_path, capsys):
    layers = [{"type": "dense", "units": 1, "activation": "softplus"}]
    single = {**table, "model": {"layers": layers}, "loss": "value", "metrics": []}
    single["data"] = {**table["data"], "target": "price", "exclude": ["style"]}
    (tmp_path / "spec.json").write_text(json.dumps(single))
    run("run", "spec.json", "--out", "out")
    printed = capsys.readouterr().out
    assert "loss" in printed
    assert "baseline" not in printed
    run("report", "out")
