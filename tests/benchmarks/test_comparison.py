"""The comparison with scikit-learn, Keras and Ludwig."""

import argparse
import json
from itertools import count
from pathlib import Path

import pytest

from benchmarks.comparison import environments, facts, markdown, rows, training
from benchmarks.comparison.trainers import MODULES
from benchmarks.harness import UnavailableError
from benchmarks.processes import limited, python, run
from benchmarks.workloads import NAMED
from tests.benchmarks.rows import EFFORT
from tests.helpers.paths import ROOT

RESULTS = json.loads((ROOT / "benchmarks" / "comparison" / "results.json").read_text())


def options(checkpoint=None, epochs=2, workload="4-16-8-3"):
    return argparse.Namespace(
        library="nnreg", workload=workload, steps=2, epochs=epochs, checkpoint=checkpoint
    )


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Return environments whose every Python is this one."""
    monkeypatch.setattr(rows, "python", lambda directory, library: python()[0])
    return rows.Environments(tmp_path, tmp_path, count())


def test_the_table_of_the_readme_is_that_of_the_results():
    readme = (ROOT / "README.md").read_text()
    assert markdown.replaced(readme, markdown.table(RESULTS)) == readme


def test_every_line_of_the_table_has_a_cell_for_each_library():
    lines = markdown.table(RESULTS).splitlines()
    assert len(lines) == 2 + len(markdown.TITLES) + 2 + len(facts.FACTS)
    assert {line.count("|") for line in lines} == {2 + len(rows.LIBRARIES)}
    assert "not confirmed" not in markdown.table(RESULTS)
    assert set(markdown.FACTS) == set(facts.FACTS)


def test_every_fact_has_a_command_or_a_page_for_each_library():
    for cells in facts.FACTS.values():
        assert tuple(cells) == rows.LIBRARIES == tuple(MODULES)
        assert all(cell.check or cell.source for cell in cells.values())


def test_the_smallest_figure_of_a_row_is_bold_and_what_is_absent_is_named():
    row = {
        "unit": "ms",
        "samples": {"a": [0.003, 0.001, 0.002], "b": [0.004]},
        "left out": {"c": "NotImplementedError: it has dense layers only", "d": "other"},
    }
    cells = markdown._figures(row, ["a", "b", "c", "d"])
    assert cells == ["**2.00**", "4.00", "dense layers only", "not measured"]


@pytest.mark.parametrize(
    ("plain", "dropout", "text"),
    [
        ("yes", "yes", "yes"),
        ("yes", "no", "not with dropout"),
        ("yes", "NotImplementedError: it has dense layers only", "yes, has no dropout"),
        ("no", "yes", "no"),
        ("it is not installed", "it is not installed", "not measured"),
    ],
)
def test_resuming_is_judged_with_and_without_dropout(plain, dropout, text):
    found = {"resumed": {"a": plain}, "resumed, dropout": {"a": dropout}}
    assert markdown._resumed(found, "a") == text


def test_a_page_without_the_markers_is_refused():
    with pytest.raises(ValueError, match="no table between"):
        markdown.replaced("# A page", "| |")


def test_nnreg_trains_alike_from_the_same_seed_and_when_resumed(tmp_path):
    name = rows.DROPOUT
    whole = training.trained(options(epochs=3, workload=name))
    training.trained(options(tmp_path, 1, name))
    resumed = training.trained(options(tmp_path, 3, name))
    assert resumed["digest"] == whole["digest"]
    assert len(whole["seconds"]) == 2
    assert whole["parameters"] == sum(a * b + b for a, b in [(64, 128), (128, 64), (64, 10)])
    assert whole["digest"] != training.trained(options(workload=name))["digest"]


def test_scikit_learn_trains_the_network_of_nnreg(tmp_path):
    scikit_learn = pytest.importorskip("benchmarks.comparison.trainers.scikit_learn")
    workload = NAMED["4-16-8-3"]
    x, y = workload.examples(300)
    whole = scikit_learn.train(workload, x, y, 3, None, lambda: None)
    scikit_learn.train(workload, x, y, 1, tmp_path, lambda: None)
    resumed = scikit_learn.train(workload, x, y, 3, tmp_path, lambda: None)
    assert all((a == b).all() for a, b in zip(whole, resumed, strict=True))
    assert sum(w.size for w in whole) == sum(a * b + b for a, b in workload.weights)


def test_the_job_of_nnreg_is_its_command(here):
    found = rows.job(here, "nnreg")
    assert 0 < found["penguins"] < 60
    assert found["accuracy"] > 0.9
    assert 1 <= found["epochs"] <= 100


def test_a_library_without_an_environment_is_left_out(tmp_path):
    with pytest.raises(UnavailableError, match="it is not installed"):
        rows.start(rows.Environments(tmp_path, tmp_path, count()), "Keras")
    row = rows.sizes(rows.Environments(tmp_path, tmp_path, count()))
    assert set(row.left_out) == set(rows.LIBRARIES)


def test_the_rows_of_training_are_a_time_per_batch_and_the_peak(here, monkeypatch):
    def train(self, library, network, *arguments):
        return {"seconds": [0.6, 0.3], "peak": 1e8}

    monkeypatch.setattr(rows.Environments, "train", train)
    step, peak = rows.training(here, rows.LARGE, EFFORT)
    assert step.figures == dict.fromkeys(rows.LIBRARIES, pytest.approx(0.015))
    assert peak.figures == dict.fromkeys(rows.LIBRARIES, 1e8)


def test_weights_are_compared_by_their_digests(here, monkeypatch):
    def train(self, library, network, *arguments, **options):
        resumed = "--checkpoint" in arguments and library == "Keras"
        return {"digest": "another" if resumed else "a digest"}

    monkeypatch.setattr(rows.Environments, "train", train)
    found = rows.reproducibility(here.directory, 1)
    assert set(found["same seed"].values()) == {"yes"}
    assert found["resumed"] == {**dict.fromkeys(rows.LIBRARIES, "yes"), "Keras": "no"}


def test_a_fact_whose_command_fails_is_not_confirmed(here, monkeypatch):
    cells = {"nnreg": facts.Cell("yes", ("-c", "pass")), "Keras": facts.Cell("no", ("-c", "1/0"))}
    monkeypatch.setattr(rows, "FACTS", {"fact": cells})
    found = rows.confirmed(here.directory)["fact"]
    assert found["nnreg"] == "yes"
    assert found["Keras"].startswith("not confirmed (ZeroDivisionError")


def test_the_installed_size_leaves_pip_out(tmp_path):
    site = tmp_path / "keras" / "lib" / "python3.12" / "site-packages"
    for name, size in {"pip": 5, "keras": 70, "nvidia": 30}.items():
        (site / name / "inner").mkdir(parents=True)
        (site / name / "inner" / "file").write_bytes(bytes(size))
    assert environments.installed_bytes(tmp_path, "Keras") == (100, 30)


def test_the_processors_time_is_that_of_a_process_and_its_children():
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'sum(range(10**7))'])"
    assert run(python("-c", code), limited(1)).processor > 0.05


def test_ludwigs_job_has_the_settings_of_the_spec():
    from nnreg.spec.document import read_spec

    spec = read_spec(ROOT / "models" / "penguins.json").spec
    config = Path(ROOT / rows.CONFIG).read_text()
    split = spec.data.split
    train = 1 - split.validation - split.test
    for line in (
        f"probabilities: [{train:g}, {split.validation:g}, {split.test:g}]",
        f"output_size: {spec.model.layers[0].units}",
        f"learning_rate: {spec.optimizer.learning_rate}",
        f"batch_size: {spec.train.batch_size}",
        f"epochs: {spec.train.epochs}",
        f"early_stop: {spec.train.early_stopping.patience}",
    ):
        assert line in config
