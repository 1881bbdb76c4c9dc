"""Metrics with names: two of a kind, under which they are recorded, and what is refused."""

import json
from dataclasses import dataclass

import numpy as np
import pytest

import nnreg
from nnreg import Metric
from nnreg.builtin.metrics import Precision
from nnreg.errors import PluginError
from nnreg.registry.checks import check_components
from nnreg.spec.document import read_spec
from nnreg.spec.validation import to_json
from tests.helpers.schemas import validator
from tests.helpers.specs import classifier

RNG = np.random.default_rng(3)
X = RNG.normal(size=(60, 3))
Y = np.array(["a", "b", "c"])[np.argmax(X, axis=1)]
METRICS = [
    {"type": "precision", "of": "a", "name": "precision_a"},
    {"type": "precision", "of": "b", "name": "precision b"},
    "precision",
]


def spec(*metrics, **sections):
    return classifier(metrics=list(metrics), **sections)


def test_two_metrics_of_a_kind_are_measured_under_their_names():
    model = nnreg.build(spec(*METRICS), data=(X, Y))
    model.fit(X, Y, validation=(X, Y))
    found, predicted = model.evaluate(X, Y), model.classify(X)
    assert list(found) == ["loss", "precision_a", "precision b", "precision"]
    for name, key in (("a", "precision_a"), ("b", "precision b")):
        chosen = predicted == name
        assert found[key] == pytest.approx(np.mean(Y[chosen] == name))
        assert model.history[-1][f"val_{key}"] == found[key]


def test_a_monitor_names_such_a_metric_and_a_run_reports_it(tmp_path):
    stopping = {"patience": 1, "monitor": "precision_a"}
    tree = spec(*METRICS, train={"epochs": 3, "early_stopping": stopping})
    nnreg.run(tree, data=(X, Y), out=tmp_path / "run")
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    assert {"precision_a", "precision b"} <= summary["train"].keys()
    assert {"precision_a", "precision b"} <= summary["baseline"].keys()
    assert "precision_a" in summary["higher_is_better"]
    assert nnreg.load(tmp_path / "run").evaluate(X, Y).keys() >= {"precision_a"}


def test_a_spec_with_names_is_written_as_it_was_read():
    document = read_spec(spec(*METRICS))
    tree = to_json(document.spec.metrics, document.registry)
    assert [one.get("name") for one in tree] == ["precision_a", "precision b", None]
    assert read_spec(spec(*tree)).spec.metrics == document.spec.metrics


@pytest.mark.parametrize(
    ("metrics", "problem"),
    [
        (["accuracy", {"type": "f1", "name": "accuracy"}], r"\[1\].*accuracy is already in use"),
        ([{"type": "f1", "name": "f"}, {"type": "recall", "name": "f"}], r"\[1\].*already in use"),
        (["f1", "f1"], r"\[1\]: the name f1 is already in use; give one of the two another 'name'"),
        ([{"type": "f1", "name": "loss"}], r"\[0\]: the name 'loss' is reserved"),
        ([{"type": "f1", "name": "val_f1"}], r"\[0\]: the name 'val_f1' is reserved"),
        ([{"type": "f1", "name": " "}], r"\[0\]: the name ' ' is empty or cannot be printed"),
        ([{"type": "f1", "name": "a\n"}], r"\[0\]: the name 'a.n' is empty or cannot be printed"),
        ([{"type": "f1", "name": 3}], r"\[0\]: 'name' must be a valid string, found 3"),
        ([{"name": "f1"}], r"\[0\]: must be the name of a metric"),
        ([{"type": "f1", "of": "d"}], r"\[0\]: no class 'd'"),
        ([{"type": "f1", "of": "a", "average": "micro"}], r"\[0\]: 'of' measures one class"),
    ],
)
def test_a_name_that_is_taken_or_unsuitable_is_refused_at_its_entry(metrics, problem):
    with pytest.raises(nnreg.SpecError, match=rf"\$.metrics{problem}"):
        nnreg.build(spec(*metrics), data=(X, Y))


def test_the_schema_describes_names():
    validator().validate(spec(*METRICS))
    assert not validator().is_valid(spec({"type": "f1", "name": 3}))


def test_a_plugins_metric_cannot_have_an_option_called_name():
    @dataclass(frozen=True)
    class Named(Precision):
        """precision, by a name"""

        name: str = ""

    with pytest.raises(PluginError, match="whose option 'name' has a name that nnreg uses"):
        check_components(Metric, {"named": Named})
