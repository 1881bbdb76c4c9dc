"""Every command on every network of the how-to on graphs."""

import csv
import io
import json

import numpy as np
import pytest

import nnreg as library
from nnreg.runs.listing import describe
from tests.helpers.graphs import RESULTS, write_examples
from tests.helpers.schemas import validator

DATA = {
    "skip": "surface.csv",
    "houses": "houses.npz",
    "flats": "flats.csv",
    "bottleneck": "flats.csv",
    "code": "points.npz",
    "same": "pairs.npz",
    "tied": "steps.npz",
    "reverse": "words.npz",
    "unet": "shapes.npz",
    "films": "ratings.csv",
    "repeated": "surface.csv",
}
COLUMNS = {
    "flats": ["prediction_price", "prediction_style", "probability_style_new",
              "probability_style_old"],
    "bottleneck": [f"prediction_{column}" for column in ("a", "b", "c", "price")],
    "code": [*(f"prediction_again_{n}" for n in range(4)), "prediction_code.kl"],
    "same": ["prediction", "probability_no", "probability_yes"],
    "tied": [f"prediction_{n}" for n in range(6)],
    "reverse": [f"prediction_{n}" for n in range(4)],
    "unet": [f"prediction_{n}" for n in range(256)],
}  # fmt: skip
"""The columns of predictions that are not a number."""

SHORT = ("--quiet", "--no-report", "--set", "train.epochs=1")


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    """Return a directory with the data, the specs and a short run of each in `runs`."""
    directory = tmp_path_factory.mktemp("examples")
    write_examples(directory)
    with np.load(directory / "shapes.npz") as file:
        few = {key: file[key][:40] for key in file}  # of their many pixels
    np.savez(directory / "shapes.npz", **few)
    for name in RESULTS:
        out, overrides = directory / "runs" / name, ["train.epochs=1"]
        library.run(directory / f"{name}.json", out=out, overrides=overrides)
    return directory


@pytest.fixture(params=RESULTS)
def name(request):
    return request.param


@pytest.fixture
def command(nnreg, examples, monkeypatch):
    """Run a command beside the specs; return what it prints."""
    monkeypatch.chdir(examples)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments, expected=0):
        code, out, err = nnreg(*arguments)
        assert code == expected, err
        return out

    return run


@pytest.fixture
def trained(examples, name):
    return library.load(examples / "runs" / name)


def test_validate_shows_each_layer_and_what_it_reads(command, trained, name):
    assert trained.summary() in command("validate", f"{name}.json")


def test_a_dry_run_estimates_and_writes_nothing(command, tmp_path, name):
    assert "parameters" in command("run", f"{name}.json", "--dry-run", "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_schema_accepts_it(command, examples, name):
    validator().validate(json.loads((examples / f"{name}.json").read_text()))


def test_the_command_prints_that_schema(command):
    assert json.loads(command("schema")) == validator().schema


def test_predict_has_a_column_for_each_value(command, trained, name):
    head, *rows = csv.reader(io.StringIO(command("predict", f"runs/{name}", DATA[name])))
    assert head == COLUMNS.get(name, ["prediction"])
    listed = json.loads(command("predict", f"runs/{name}", DATA[name], "--json"))
    assert [list(map(str, one.values())) for one in listed] == rows


def test_predicted_classes_of_pixels_are_those_of_classify(command, examples):
    image = np.load(examples / "shapes.npz")["image"]
    _, *rows = csv.reader(io.StringIO(command("predict", "runs/unet", "shapes.npz")))
    expected = library.load(examples / "runs/unet").classify({"image": image})
    np.testing.assert_array_equal(rows, expected.reshape(len(image), -1))


def test_evaluate_has_the_results_of_the_run(command, examples, name):
    found = json.loads(command("evaluate", f"runs/{name}", "--json"))
    summary = json.loads((examples / "runs" / name / "summary.json").read_text())
    assert found["test"] == pytest.approx(summary["test"], rel=1e-6)
    assert json.loads(command("evaluate", f"runs/{name}", DATA[name], "--json"))["data"]


def test_inspect_lists_the_arrays_by_the_names_of_entries(command, trained, name):
    printed = command("inspect", f"runs/{name}")
    assert all(one in printed for one in trained.parameters)


def test_diff_names_what_differs_between_two_runs(command, examples, tmp_path, trained, name):
    path = examples / "runs" / name
    assert command("diff", path, path) == "no differences\n"
    changed = next(iter(trained.parameters))
    trained.parameters[changed][...] += 1
    library.save(trained, tmp_path / "changed.h5")
    assert changed in command("diff", path, tmp_path / "changed.h5", expected=1)


def test_report_plot_compare_and_runs_show_it(command, examples, tmp_path, name):
    path = examples / "runs" / name
    command("report", path)
    page = (path / "report.html").read_text()
    assert "Network from input to output" in page
    command("plot", path, "--out", tmp_path / "curves.svg")
    assert name in command("compare", path, path)
    assert name in command("runs", examples / "runs")


@pytest.mark.parametrize(("name", "measure"), [("flats", "style_accuracy"), ("code", "loss")])
def test_runs_are_listed_by_a_metric_not_by_the_loss_of_one_output(examples, name, measure):
    assert describe(examples / "runs" / name).measure == measure


def test_folds_are_trained_and_summed_up(command, tmp_path, name):
    options = ("--set", "train.folds=2", "--set", "data.split={}", "--out", tmp_path / "out")
    command("run", f"{name}.json", *SHORT, *options)
    found = json.loads((tmp_path / "out/summary.json").read_text())
    assert (found["done"], "loss" in found["mean"]) == (2, True)


def test_rerun_computes_the_same(command, name):
    assert "identical" in command("rerun", f"runs/{name}")


def first_layer(model):
    return next(iter(model.parameters)).rpartition("/")[0]


def test_a_layer_can_be_frozen_and_the_weights_of_another_run_taken(
    command, examples, tmp_path, trained, name
):
    layer = first_layer(trained)
    start = {"checkpoint": str(examples / "runs" / name), "layers": [layer]}
    command("run", f"{name}.json", *SHORT, "--out", tmp_path / "out", "--set", "seed=5",
            "--set", f"train.freeze={json.dumps([layer])}",
            "--set", f"train.start_from={json.dumps(start)}")  # fmt: skip
    found = library.load(tmp_path / "out").parameters
    same = {key for key in found if np.array_equal(found[key], trained.parameters[key])}
    own = {key for key in found if key.startswith(f"{layer}/")}
    assert own <= same
    assert not same >= set(found)


CHANGES = {
    "tied": "model.layers.0.units=12",
    "unet": "model.layers.0.filters=9",
    "repeated": "model.layers.1.layers.1.units=9",
}
"""A change of the number of parameters; of the others, `model.layers.0.units=9`."""


def test_a_spec_can_extend_it_and_the_units_of_a_layer_be_set(
    command, examples, tmp_path, trained, name
):
    (tmp_path / "own.json").write_text(json.dumps({
        "extends": str(examples / f"{name}.json"),
        "data": {"path": str(examples / DATA[name])},
        "train": {"epochs": 1},
    }))  # fmt: skip
    change = CHANGES.get(name, "model.layers.0.units=9")
    command("run", tmp_path / "own.json", *SHORT, "--set", change, "--out", tmp_path / "out")
    found = library.load(tmp_path / "out")
    assert found.parameters.keys() == trained.parameters.keys()
    assert found.network.vector.size != trained.network.vector.size
