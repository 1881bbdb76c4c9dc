"""Runs, checkpoints and specs of every format that there has been are still read and continued.

Only the public interface is called: what is behind it may have changed since they were written.
"""

import csv
import hashlib
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import nnreg as library
from nnreg import builtin
from nnreg.builtin.activations import Softsign

pytestmark = pytest.mark.filterwarnings("ignore::nnreg.errors.NnregWarning")  # another machine

FORMATS = sorted((Path(__file__).parent / "golden").glob("format-*/"))
EXPECTED = {path: json.loads((path / "expected.json").read_text()) for path in FORMATS}
RUNS = ("words", "averaged", "folds")
MODELS = ("regression", "tokens", "images", "line", "digits")
CLOSE = {"rtol": 1e-4, "atol": 1e-6}
"""What processors and numbers of threads may differ by; float32 is the coarsest there is."""

OPTIMIZERS = sorted(path for directory in FORMATS for path in directory.glob("optimizers/*.h5"))

QUIET = ("--plugin", "swish.py", "--quiet", "--no-report")


@pytest.fixture(params=FORMATS, ids=lambda path: path.name)
def golden(request, tmp_path, monkeypatch):
    """Copy the golden files, work among the copies, and return what is expected of them."""
    shutil.copytree(request.param, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return EXPECTED[request.param]


def array(x):
    """Return what a golden model takes: a table as it is, anything else as an array."""
    return x if isinstance(x, dict) else np.array(x)


def same_history(found, expected):
    """Compare records, all of their values by their names."""
    found = [dict(record) for record in found]
    assert [record.keys() for record in found] == [record.keys() for record in expected]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(list(one.values()), list(other.values()), **CLOSE)


def predictions(nnreg, path, columns):
    """Return the probabilities that the command prints for rows in a file like the run's own."""
    with open("new.csv", "w", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(columns)
        rows = zip(*columns.values(), strict=True)
        writer.writerows(
            [str(v).replace(".", ",") if v is not None else "" for v in r] for r in rows
        )
    code, out, err = nnreg("predict", path, "new.csv", "--plugin", "swish.py", "--json")
    assert code == 0, err
    return [[row[f"probability_{name}"] for name in ("blue", "green", "red")]
            for row in json.loads(out)]  # fmt: skip


def moved(**files):
    """Return the options that say where the files now are that a moved run names.

    A checkpoint has the absolute path of the directory of its spec.
    """
    paths = {"data__path": "rows.csv", **files}
    return [f"--set={key.replace('__', '.')}={Path(name).resolve()}" for key, name in paths.items()]


@pytest.mark.parametrize("path", FORMATS, ids=lambda path: path.name)
def test_no_golden_file_has_been_changed(path):
    listed = dict(
        reversed(line.split("  ")) for line in (path / "SHA256SUMS").read_text().splitlines()
    )
    files = [file for file in path.rglob("*") if file.is_file() and file.name != "SHA256SUMS"]
    assert {
        file.relative_to(path).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in files
        if "__pycache__" not in file.parts
    } == listed


@pytest.mark.parametrize("name", [*RUNS, *MODELS])
def test_a_checkpoint_holds_the_weights_and_history_that_were_written(golden, name):
    known = golden[name]
    arrays = library.read_arrays(known["file"])
    for weight, values in known["weights"].items():
        np.testing.assert_array_equal(arrays[f"parameters/{weight}"].ravel()[:3], values)
    same_history(library.read_history(known["file"]), known["history"])


@pytest.mark.parametrize("name", MODELS)
def test_a_saved_model_predicts_as_it_did_and_trains_on(golden, name):
    known = golden[name]
    x, y = array(known["x"]), array(known["y"])
    model = library.load(known["file"])
    np.testing.assert_allclose(model.predict(x), known["predictions"], **CLOSE)
    same_history(model.history, known["history"])
    model.fit(x, y, epochs=1)
    assert len(model.history) == len(known["history"]) + 1


@pytest.mark.parametrize("path", OPTIMIZERS, ids=lambda path: f"{path.parts[-3]}-{path.stem}")
def test_every_optimizer_continues_as_it_did(path):
    content = json.loads((path.parent / "expected.json").read_text())
    x, y, known = np.array(content["x"]), np.array(content["y"]), content["continued"][path.stem]
    model = library.load(path)
    model.fit(x, y, epochs=2)
    same_history(model.history, known["history"])
    np.testing.assert_allclose(model.predict(x), known["predictions"], **CLOSE)


@pytest.mark.parametrize("name", MODELS)
def test_an_old_spec_trains_as_it_did_on_arrays(golden, name):
    known = golden[name]
    x, y = array(known["x"]), array(known["y"])
    model = library.build(f"{name}.json", data=(x, y))
    model.fit(x, y)
    same_history(model.history, known["history"])


@pytest.mark.parametrize("name", RUNS)
def test_a_run_predicts_as_it_did(golden, nnreg, name):
    known = golden[name]
    found = predictions(nnreg, known["file"], known["x"])
    np.testing.assert_allclose(found, known["predictions"], **CLOSE)


@pytest.mark.parametrize("name", RUNS)
def test_a_new_built_in_of_the_plugin_s_name_changes_no_run(golden, nnreg, monkeypatch, name):
    @library.hookimpl
    def nnreg_activations(before=builtin.nnreg_activations):
        return {**before(), "swish": Softsign}

    monkeypatch.setattr(builtin, "nnreg_activations", nnreg_activations)
    test_a_run_predicts_as_it_did(golden, nnreg, name)
    if name == "words":
        test_a_complete_run_is_trained_further(golden, nnreg)


@pytest.mark.parametrize("name", MODELS)
def test_components_of_a_program_do_not_replace_the_built_in_ones_of_a_model(
    golden, registering, name
):
    @dataclass(frozen=True)
    class Mine(library.Activation):
        def formula(self, x):
            return 0 * x

    @dataclass(frozen=True)
    class Own(library.Loss):
        pass

    for activation in builtin.nnreg_activations():
        library.register(activation, Mine)
    for loss in builtin.nnreg_losses():
        library.register(loss, Own)
    test_a_saved_model_predicts_as_it_did_and_trains_on(golden, name)


def test_a_complete_run_is_trained_further(golden, nnreg):
    code, _, err = nnreg("resume", "words", *moved(), "--set", "train.epochs=9", *QUIET)
    assert code == 0, err
    history = library.read_history("words")
    assert len(history) == 9
    same_history(history[:8], golden["words"]["history"])


def test_a_run_that_stopped_in_mid_epoch_ends_as_one_that_did_not(golden, nnreg):
    files = {"data__split__validation": "held.csv", "train__start_from__checkpoint": "words"}
    assert len(library.read_history("averaged")) == 2
    code, _, err = nnreg("resume", "averaged", *moved(**files), *QUIET)
    assert code == 0, err
    end = golden["averaged"]["end"]
    same_history(library.read_history("averaged"), end["history"])
    found = predictions(nnreg, "averaged", golden["averaged"]["x"])
    np.testing.assert_allclose(found, end["predictions"], **CLOSE)


def test_a_cross_validation_trains_the_folds_that_are_left(golden, nnreg):
    assert not Path("folds/fold-3").exists()
    code, _, err = nnreg("resume", "folds", *moved(), "--quiet", "--no-report")
    assert code == 0, err
    summary, known = json.loads(Path("folds/summary.json").read_text()), golden["folds"]
    assert summary["done"] == 3
    same_history(summary["runs"], known["runs"])
    same_history([summary["mean"]], [known["mean"]])


@pytest.mark.parametrize("name", RUNS)
def test_an_old_spec_is_valid_as_it_was_written_and_with_its_defaults(golden, nnreg, name):
    for spec in (f"{name}.json", f"{name}/resolved.json"):
        code, out, err = nnreg("validate", spec, "--plugin", "swish.py")
        assert code == 0, out + err


def test_an_old_spec_trains_as_it_did_on_files(golden, nnreg):
    code, _, err = nnreg("run", "words.json", "--set", "train.epochs=2", "--out", "new", *QUIET)
    assert code == 0, err
    same_history(library.read_history("new"), golden["words"]["two_epochs"])


def test_old_runs_are_listed_with_how_far_they_came(golden, nnreg):
    code, out, err = nnreg("runs", ".", "--json")
    assert code == 0, err
    runs = {run["name"]: run for run in json.loads(out)}
    assert set(runs) == set(RUNS)
    assert (runs["words"]["epochs"], runs["averaged"]["epochs"]) == (8, 2)
    assert runs["words"]["best_epoch"] == 7
    assert runs["folds"]["folds"] == "1/3"
    assert not any(run["problem"] for run in runs.values())


@pytest.mark.parametrize("name", RUNS)
def test_an_old_run_has_a_report(golden, nnreg, name):
    code, out, err = nnreg("report", name, "--plugin", "swish.py")
    assert code == 0, err
    page = Path(name, "report.html")
    assert Path(out.strip()) == page
    data = hashlib.sha256(Path("rows.csv").read_bytes()).hexdigest()
    assert data in page.read_text()


def test_old_runs_are_compared(golden, nnreg):
    code, out, err = nnreg("compare", *RUNS, "--json")
    assert code == 0, err
    assert all(name in out for name in RUNS)


@pytest.mark.parametrize("name", ["words", "averaged", "averaged/checkpoints/last.h5", *MODELS])
def test_an_old_checkpoint_is_inspected_and_passes_every_check(golden, nnreg, name):
    path = golden[name]["file"] if name in golden else name
    assert nnreg("inspect", path)[0] == 0
    code, out, err = nnreg("inspect", path, "--json")
    assert code == 0, err
    weights = golden[name.split("/")[0]]["weights"]
    assert json.loads(out)["arrays"].keys() >= {f"parameters/{weight}" for weight in weights}
    code, out, err = nnreg("inspect", "--verify", path, "--plugin", "swish.py")
    assert code == 0, out + err


def test_a_program_loads_an_old_run_with_its_plugin(golden):
    code = "; ".join(
        [
            "import json, nnreg",
            "nnreg.register('swish.py')",
            "known = json.load(open('expected.json'))['words']",
            "print(json.dumps(nnreg.load('words').predict(known['x']).tolist()))",
        ]
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    np.testing.assert_allclose(json.loads(found), golden["words"]["predictions"], **CLOSE)
