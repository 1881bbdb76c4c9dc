"""Several outputs whose targets are columns of a table: commands, folds, targets, weights."""

import csv
import json

import numpy as np
import pytest

import nnreg as library
from nnreg import DataError
from nnreg.reports.network_diagram import diagram
from nnreg.spec.document import read_spec
from nnreg.spec.resolve import resolved
from tests.helpers.schemas import validator
from tests.model.output_specs import PRICE, ROWS, STYLE, X, table_spec, write_table


def test_targets_are_scaled_and_predictions_have_their_units(tmp_path):
    spec = table_spec(tmp_path)
    write_table(tmp_path / "t.csv")
    spec["data"]["target_scaling"] = "standard"
    spec["train"]["epochs"] = 40
    model = library.run(spec)
    x = {"a": X[:, 0], "b": X[:, 1], "c": X[:, 2], "d": X[:, 3]}
    assert np.corrcoef(model.predict(x)["price"], PRICE)[0, 1] > 0.9
    assert model.evaluate(x, {"price": PRICE, "style": STYLE})["price_r2"] > 0.8


@pytest.fixture
def table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_table(tmp_path / "t.csv")
    (tmp_path / "s.json").write_text(json.dumps(table_spec(tmp_path), indent=1))
    return tmp_path


def test_each_command_handles_several_outputs(table, nnreg):
    def command(*arguments):
        code, out, err = nnreg(*arguments)
        assert code == 0, err
        return out

    command("validate", "s.json")
    command("run", "s.json", "--dry-run")
    printed = command("run", "s.json", "--quiet", "--out", "out")
    assert "test price_r2" in printed
    assert "test style_accuracy" in printed
    page = (table / "out" / "report.html").read_text()
    assert "<strong>price</strong>: R2 on" in page
    assert "<strong>style</strong>: Accuracy" in page
    assert {one.name for one in (table / "out" / "plots").iterdir()} >= {
        "output-0-predicted.svg",
        "output-1-confusion.svg",
        "price_loss.svg",
    }
    summary = json.loads((table / "out" / "summary.json").read_text())
    assert list(summary["verdicts"]) == ["price", "style"]
    assert list(summary["baseline"]) == ["price_r2", "style_accuracy"]
    head, *rows = csv.reader(command("predict", "out", "t.csv").splitlines())
    assert head == ["prediction_price", "prediction_style",
                    *(f"probability_style_{one}" for one in "abc")]  # fmt: skip
    model = library.load("out")
    found = model.predict({name: X[:, i] for i, name in enumerate("abcd")})
    np.testing.assert_allclose([float(row[0]) for row in rows], found["price"])
    assert len(rows) == ROWS
    assert json.loads(command("predict", "out", "t.csv", "--json"))[0]["prediction_style"] in "abc"
    assert "style_accuracy" in command("evaluate", "out", "t.csv")
    assert "val_style_accuracy" in json.dumps(list(model.history[-1]))
    command("run", "s.json", "--quiet", "--out", "more", "--set", "train.epochs=7")
    command("resume", "out", "--quiet", "--set", "train.epochs=7")
    np.testing.assert_array_equal(
        library.load("out/checkpoints/last.h5").network.vector,
        library.load("more/checkpoints/last.h5").network.vector,
    )
    command("report", "out")
    command("diff", "out", "more")
    command("inspect", "out/checkpoints/best.h5")


def test_predictions_of_two_outputs_with_one_name_are_refused(table, nnreg):
    with open("n.csv", "w") as file:
        file.write("x,b_c,c,d\n" + "".join(f"{i},{i},{2 * i},{-i}\n" for i in range(20)))
    spec = table_spec(table, metrics={})
    spec["data"] |= {"path": "n.csv", "inputs": "x",
                     "target": {"a": ["b_c", "d"], "a_b": ["c", "d"]}}  # fmt: skip
    spec["model"]["layers"] = [
        {"type": "dense", "units": 2, "inputs": "input", "name": name} for name in ("a", "a_b")
    ]
    spec["loss"] = {"a": "huber", "a_b": "huber"}
    library.run(spec, out="out")
    code, out, err = nnreg("predict", "out", "n.csv")
    assert (code, out) == (2, "")
    assert "two columns are called prediction_a_b_c; use model.predict in Python" in err


def test_folds_and_early_stopping_by_one_output(table):
    spec = table_spec(table)
    spec["data"]["split"] = {}
    stop = {"patience": 2, "monitor": "val_style_accuracy"}
    spec["train"] = {"epochs": 4, "folds": 2, "early_stopping": stop}
    result = library.run(spec, out=table / "folds")
    assert "style_accuracy" in result.summary["mean"]


def test_the_schema_the_diagram_and_the_resolved_spec_have_the_outputs(table):
    spec = table_spec(table)
    validator().validate(spec)
    wrong = {**spec, "loss": {"price": {"type": "huber", "weigth": 1}}}
    assert not validator().is_valid(wrong)
    picture = diagram(library.build(spec)).file()
    assert "style" in picture
    tree = resolved(read_spec("s.json"), table)
    assert tree["loss"]["price"] == {"type": "huber", "delta": 1.0, "weight": 0.5}
    (table / "resolved.json").write_text(json.dumps(tree))
    one, other = (library.run(table / name) for name in ("s.json", "resolved.json"))
    np.testing.assert_array_equal(one.network.vector, other.network.vector)


def test_a_target_may_have_another_name_than_its_output(table):
    spec = table_spec(table)
    spec["loss"]["style"] = {"type": "cross_entropy", "target": "kind"}
    spec["data"]["target"] = {"price": "price", "kind": "style"}
    assert library.build(spec).outputs["style"].classes == ("a", "b", "c")


def test_weights_of_classes_are_those_of_the_only_target(table):
    spec = table_spec(table)
    spec["model"]["layers"] = [spec["model"]["layers"][-1] | {"inputs": "input"}]
    spec["loss"] = {"style": "cross_entropy"}
    spec["metrics"] = {"style": ["accuracy"]}
    spec["data"] |= {
        "target": {"style": "style"},
        "exclude": ["price"],
        "class_weights": "balanced",
    }
    named = library.run(spec)
    spec["model"]["layers"][0].pop("name")
    spec |= {"loss": "cross_entropy", "metrics": ["accuracy"]}
    spec["data"]["target"] = "style"
    np.testing.assert_allclose(named.network.vector, library.run(spec).network.vector, rtol=1e-12)


def test_targets_may_be_given_by_output_or_by_column(table):
    spec = table_spec(table)
    spec["data"] |= {"target": {"price": ["price", "d"], "style": "style"}, "inputs": ["a", "b"]}
    spec["model"]["layers"][1]["units"] = 2
    model = library.build(spec)
    x, both = X[:, :2], np.stack([PRICE, X[:, 3]], axis=1)
    by_column = model.evaluate(x, {"price": PRICE, "d": X[:, 3], "style": STYLE})
    assert model.evaluate(x, {"price": both, "style": STYLE}) == by_column
    every = {"a": X[:, 0], "b": X[:, 1], "price": PRICE, "d": X[:, 3], "style": STYLE}
    assert model.evaluate(every) == by_column
    with pytest.raises(DataError, match="the target column 'd' is missing"):
        model.evaluate(x, {"price": PRICE})
